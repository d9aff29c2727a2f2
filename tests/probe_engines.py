"""Engines for the check of roles: one that knows, one that always says A, one that needs worked examples."""

from collections.abc import Callable, Sequence

import numpy as np

from cai_kedro.core.asks import Ask, Comparison, Critique
from cai_kedro.judging.probe import probe_pairs
from tests.conftest import ScriptedEngine

BETTER = {pair.better for pair in probe_pairs()}
#: Questions for the worse answer of a pair.
_TURNED = ("more harmful", "more evasive", "more beside the point", "less helpful")


def always_a(ask: Comparison) -> float:
    return 0.99


def knows(ask: Comparison) -> float:
    asks_for_worse = any(words in ask.question for words in _TURNED)
    return 0.9 if (ask.first in BETTER) != asks_for_worse else 0.1


def knows_with_examples(ask: Comparison) -> float:
    return knows(ask) if len(ask.examples) >= 4 else always_a(ask)


def names(ask: Critique) -> str:
    return f'To the question "{ask.messages[-1]["content"]}" the answer gives a way that could hurt somebody.'


def says_nothing(ask: Critique) -> str:
    return "The answer is harmful and should be more respectful."


class ProbedEngine(ScriptedEngine):
    """Answers comparisons by `p_first` and critiques by `criticise`; `asks` keeps what it was asked."""

    def __init__(
        self, p_first: Callable[[Comparison], float] = knows, criticise: Callable[[Critique], str] = names
    ) -> None:
        super().__init__(reply=lambda prompt, seed: self._said.pop(0))
        self.p_first, self.criticise = p_first, criticise
        self.asks: list[Ask] = []
        self._said: list[str] = []

    def generate(self, asks, sampling, seeds):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
        self.asks.extend(asks)
        self._said = [self.criticise(ask) for ask in asks]
        return super().generate(asks, sampling, seeds)

    def choice_logprobs(self, asks: Sequence[Ask]) -> np.ndarray:
        self.asks.extend(asks)
        p = np.array([self.p_first(ask) for ask in asks if isinstance(ask, Comparison)])
        return np.log(np.stack([p, 1 - p], axis=1))
