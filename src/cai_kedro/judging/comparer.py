"""Which of two answers a model prefers: in one or both orders, behind worked examples, with or without thoughts (§4.1).

Preferences are read from the log-probabilities of the two letters, never from generated text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cai_kedro.core.asks import Comparison, Thoughts, Verdict, Worked
from cai_kedro.core.conversation import Conversation
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.engines.fitting import generate_fitting, trouble_of
from cai_kedro.engines.letters import p_first


@dataclass(frozen=True)
class Case:
    """Two answers to compare under a question, behind worked examples: comparisons, or verdicts where it is thought."""

    messages: Conversation
    a: str
    b: str
    question: str
    examples: Sequence[Worked] = ()

    def comparison(self, swapped: bool) -> Comparison:
        """Return the ask with A as the first option, as the second if `swapped`."""
        return Comparison(self.messages, *self._in_order(swapped), self.question, self.examples)

    def thoughts(self, swapped: bool) -> Thoughts:
        """Return the ask for thoughts, the options as in `comparison`."""
        return Thoughts(self.messages, *self._in_order(swapped), self.question, self.examples)

    def _in_order(self, swapped: bool) -> tuple[str, str]:
        return (self.b, self.a) if swapped else (self.a, self.b)


@dataclass(frozen=True)
class Preferences:
    """P(A better) of n cases: with A as the first option, and as the second (NaN where one order was asked); (n,) each.

    NaN also for cases that do not fit into the model's context.
    """

    a_first: np.ndarray
    a_second: np.ndarray
    both_orders: bool

    @classmethod
    def of(cls, p_first_option: Sequence[np.ndarray]) -> "Preferences":
        """Take P(first option) of one or both orders, A first in the first one."""
        a_first, *swapped = p_first_option
        a_second = 1 - swapped[0] if swapped else np.full(len(a_first), np.nan)
        return cls(a_first, a_second, bool(swapped))

    @property
    def a_better(self) -> np.ndarray:
        """The mean of both orders, or the only one: (n,)."""
        return (self.a_first + self.a_second) / 2 if self.both_orders else self.a_first


@dataclass(frozen=True)
class Thinking:
    """How thoughts are sampled: so many chains per order, the seed of each by case, order (0 or 1) and chain."""

    samples: int
    sampling: Sampling
    seed: Callable[[int, int, int], int]


@dataclass(frozen=True)
class Reasoned:
    """What came of thinking about n cases.

    `p_first` is P(first option) after each chain, NaN for a case in trouble: (orders, chains, n). `thoughts` are the
    chains, `thoughts[order][chain][case]`. `troubles` says of each case why it has no preference, None where it has.
    """

    p_first: np.ndarray
    thoughts: list[list[list[str]]]
    troubles: list[str | None]

    @property
    def preferences(self) -> Preferences:
        """The preferences, chains averaged as probabilities."""
        return Preferences.of(list(self.p_first.mean(axis=1)))

    def after_chain(self, chain: int) -> Preferences:
        """Return the preferences after one chain of each order."""
        return Preferences.of(list(self.p_first[:, chain]))

    def texts(self, case: int, chains: Sequence[int]) -> list[str]:
        """Return these chains of thought about a case, those with A as the first option before the others."""
        return [order[chain][case] for order in self.thoughts for chain in chains]


def orders(both: bool) -> tuple[bool, ...]:
    """Return for each order to ask in whether it is swapped."""
    return (False, True) if both else (False,)


def compare(engine: TextEngine, cases: Sequence[Case], *, both_orders: bool) -> Preferences:
    """Ask which answer is better, all orders in one call: most of two such prompts is the same."""
    asked = orders(both_orders)
    p = p_first(engine, [case.comparison(swapped) for swapped in asked for case in cases])
    return Preferences.of(np.split(p, len(asked)))


def compare_with_thoughts(
    engine: TextEngine, cases: Sequence[Case], thinking: Thinking, *, both_orders: bool
) -> Reasoned:
    """Let the model think step by step before it answers, order by order and chain by chain.

    A case of which a chain comes out empty, or that is over the context, is in trouble and is answered no more.
    """
    troubles: list[str | None] = [None] * len(cases)
    thoughts: list[list[list[str]]] = []
    p: list[list[np.ndarray]] = []
    for order, swapped in enumerate(orders(both_orders)):
        asks = [case.thoughts(swapped) for case in cases]
        thoughts.append([])
        p.append([])
        for chain in range(thinking.samples):
            seeds = [thinking.seed(case, order, chain) for case in range(len(cases))]
            said = generate_fitting(engine, asks, thinking.sampling, seeds)
            troubles = [trouble or trouble_of(one) for trouble, one in zip(troubles, said, strict=True)]
            thoughts[-1].append([completion.text.strip() if completion else "" for completion in said])
            p[-1].append(_answered(engine, asks, thoughts[-1][-1], troubles))
    return Reasoned(np.array(p).reshape(len(p), thinking.samples, len(cases)), thoughts, troubles)


def _answered(
    engine: TextEngine, asks: Sequence[Thoughts], thoughts: Sequence[str], troubles: Sequence[str | None]
) -> np.ndarray:
    """Return P(first option) after the thoughts, NaN for a case in trouble: (n,)."""
    places = [i for i, trouble in enumerate(troubles) if trouble is None]
    answered = p_first(engine, [Verdict(asks[i], thoughts[i]) for i in places])
    p = np.full(len(asks), np.nan, dtype=answered.dtype)
    p[places] = answered
    return p
