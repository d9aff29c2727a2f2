"""Asking a model which of five descriptions fits an answer; the letter is read from log-probabilities."""

from collections.abc import Sequence

import numpy as np

from cai_kedro.core.asks import Plain
from cai_kedro.core.behaviours import BEHAVIOURS, DESCRIPTIONS
from cai_kedro.core.conversation import Conversation, render
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.fitting import logprobs_fitting

_CONSIDER = "Consider the following conversation between a human and an assistant:"
_QUESTION = "Which of these sentences describes the last response of the assistant best?"
_LETTERS = "ABCDE"


def behaviour_probabilities(engine: TextEngine, answers: Sequence[tuple[Conversation, str]]) -> np.ndarray:
    """Return P(behaviour) of each answer, averaged over five orders in which every description has every letter once.

    `answers` are conversations that end on a human turn, with the response. The result is (answers, `BEHAVIOURS`), a
    row of NaN for what does not fit into the model's context.
    """
    n = len(BEHAVIOURS)
    orders = [[*BEHAVIOURS[shift:], *BEHAVIOURS[:shift]] for shift in range(n)]
    # the orders of an answer stand side by side: they share all but the list of descriptions
    asks = [_ask(messages, response, order) for messages, response in answers for order in orders]
    by_order = _choice_probabilities(engine, asks).reshape(len(answers), n, n)
    return np.mean([np.roll(by_order[:, shift], shift, axis=1) for shift in range(n)], axis=0)


def most_likely(probabilities: np.ndarray) -> list[str | None]:
    """Return the likeliest behaviour of each row of probabilities, the first one of several; None for a row of NaN."""
    return [None if np.isnan(row).any() else BEHAVIOURS[int(row.argmax())] for row in probabilities]


def _ask(messages: Conversation, response: str, order: Sequence[str]) -> Plain:
    shown = render([*messages, {"role": "assistant", "content": response}])
    options = "".join(f"\n ({letter}) {DESCRIPTIONS[name]}" for letter, name in zip(_LETTERS, order, strict=True))
    return Plain(
        f"{_CONSIDER}{shown}\n\n{_QUESTION}{options}\n\nThe answer is:",
        choices=tuple(f" ({letter})" for letter in _LETTERS),
    )


def _choice_probabilities(engine: TextEngine, asks: Sequence[Plain]) -> np.ndarray:
    """Return the probabilities of the choices among themselves: (asks, choices)."""
    logprobs = logprobs_fitting(engine, asks)
    odds = np.exp(logprobs - logprobs.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)
