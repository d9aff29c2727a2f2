"""Asking an engine for a table's rows, where one row that is too long must not stop the others."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from cai_kedro.core.asks import Ask, n_choices
from cai_kedro.core.layouts.base import TurnsRefusedError
from cai_kedro.engines.base import Completion, PromptTooLongError, Sampling, TextEngine
from cai_kedro.engines.leaked_turns import without_leaked_turns

logger = logging.getLogger(__name__)

Answers = TypeVar("Answers")

#: Why a row could not be made.
TOO_LONG = "the prompt does not fit into the model's context"
EMPTY = "the completion is empty"

ROUNDING = 1e-3  # a log-probability of a certain choice may come out this far above 0


def generate_fitting(
    engine: TextEngine, asks: Sequence[Ask], sampling: Sampling, seeds: Sequence[int]
) -> list[Completion | None]:
    """Sample as `engine.generate` does; None for what is over the context.

    What a chat template refuses gets a completion with `trouble`.

    What a completion holds of a chat template's turns is cut off (`leaked_turns.py`), which a warning counts.
    """
    said: list[Completion | None] = [None] * len(asks)
    refused: dict[int, str] = {}
    places, completions = _of_fitting(
        len(asks), lambda at: engine.generate([asks[i] for i in at], sampling, [seeds[i] for i in at]), refused
    )
    for i, reason in refused.items():
        said[i] = Completion("", "stop", trouble=reason)
    leaked = []
    for i, completion in zip(places, completions or [], strict=True):
        own = without_leaked_turns(completion.text)
        if own == completion.text.strip():
            said[i] = completion
        else:
            said[i] = replace(completion, text=own)
            leaked.append(completion.text)
    if leaked:
        logger.warning(
            "%d of %d completions held a turn of a chat template, such as %r: it was cut off",
            len(leaked),
            len(places),
            leaked[0][:60],
        )
    return said


def logprobs_fitting(engine: TextEngine, asks: Sequence[Ask]) -> np.ndarray:
    """Return log-probabilities as `engine.choice_logprobs` does; NaN for what is over the context, or is refused.

    Raises `FloatingPointError` where the model itself gives no numbers, `ValueError` for what is no log-probability.
    """
    places, read = _of_fitting(len(asks), lambda at: engine.choice_logprobs([asks[i] for i in at]), {})
    choices = n_choices(asks)
    if read is None or not places:
        return np.full((len(asks), choices), np.nan)
    _check_logprobs(read, (len(places), choices), engine)
    logprobs = np.full((len(asks), choices), np.nan, dtype=read.dtype)
    logprobs[places] = read
    return logprobs


def _check_logprobs(read: np.ndarray, shape: tuple[int, int], engine: TextEngine) -> None:
    """Raise unless these are log-probabilities: at most 0, and above minus infinity for some choice of each row."""
    name = type(engine).__name__
    if np.shape(read) != shape:
        raise ValueError(f"{name}.choice_logprobs must return (asks, choices) = {shape}, got {np.shape(read)}")
    if np.isnan(read).any():
        raise FloatingPointError("the model's log-probabilities are not numbers (NaN): its weights have diverged")
    wrong = np.flatnonzero((read > ROUNDING).any(axis=1) | np.isneginf(read).all(axis=1))
    if len(wrong):
        raise ValueError(
            f"{name}.choice_logprobs gave {len(wrong)} of {shape[0]} asks what is no log-probability, first row "
            f"{wrong[0]}: {read[wrong[0]].tolist()}; expected nats, at most 0, and finite for one choice at least"
        )


def _of_fitting(
    n: int, ask: Callable[[list[int]], Answers], refused: dict[int, str]
) -> tuple[list[int], Answers | None]:
    """Ask for as many of n rows as fit; return their places and the answer, None where nothing fits.

    An engine may name all rows that are too long at once, or one after another. Into `refused` goes why a row cannot
    be written down, by its place.
    """
    places = list(range(n))
    while places or not n:
        try:
            return places, ask(places)
        except PromptTooLongError as error:
            too_long = {places[row] for row in error.rows}
            if not too_long:
                raise
            places = [place for place in places if place not in too_long]
        except TurnsRefusedError as error:
            turned_away = {places[row] for row in error.rows}
            refused.update(dict.fromkeys(turned_away, str(error)))
            places = [place for place in places if place not in turned_away]
    return [], None


def trouble_of(completion: Completion | None) -> str | None:
    """Say what is wrong with a completion, None if nothing is."""
    return unread(completion) or (None if completion is not None and completion.text.strip() else EMPTY)


def unread(completion: Completion | None) -> str | None:
    """Say why the model was not asked, None if it was; an empty completion is one."""
    return TOO_LONG if completion is None else completion.trouble
