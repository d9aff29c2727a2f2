"""Asking an engine for a table's rows, where one row that is too long must not stop the others."""

from collections.abc import Sequence

import numpy as np

from cai_kedro.engines.base import Completion, PromptTooLongError, Sampling, TextEngine

#: Why a row could not be made.
TOO_LONG = "the prompt does not fit into the model's context"
EMPTY = "the completion is empty"


def generate_fitting(
    engine: TextEngine, prompts: Sequence[str], sampling: Sampling, seeds: Sequence[int], stop: Sequence[str] = ()
) -> list[Completion | None]:
    """Sample as `engine.generate` does; None for a prompt that is over the context."""
    try:
        return list(engine.generate(prompts, sampling, seeds, stop))
    except PromptTooLongError as error:
        fitting = _others(len(prompts), error.rows)
    said: list[Completion | None] = [None] * len(prompts)
    if fitting:
        done = engine.generate([prompts[i] for i in fitting], sampling, [seeds[i] for i in fitting], stop)
        for i, completion in zip(fitting, done, strict=True):
            said[i] = completion
    return said


def logprobs_fitting(engine: TextEngine, prompts: Sequence[str], choices: Sequence[str]) -> np.ndarray:
    """Return log-probabilities as `engine.choice_logprobs` does; NaN for a prompt that is over the context.

    Raises `FloatingPointError` where the model itself gives no numbers.
    """
    try:
        return _numbers(engine.choice_logprobs(prompts, choices))
    except PromptTooLongError as error:
        fitting = _others(len(prompts), error.rows)
    logprobs = np.full((len(prompts), len(choices)), np.nan)
    if fitting:
        logprobs[fitting] = _numbers(engine.choice_logprobs([prompts[i] for i in fitting], choices))
    return logprobs


def trouble_of(completion: Completion | None) -> str | None:
    """Say what is wrong with a completion, None if nothing is."""
    if completion is None:
        return TOO_LONG
    return None if completion.text.strip() else EMPTY


def _others(n: int, rows: Sequence[int]) -> list[int]:
    return sorted(set(range(n)) - set(rows))


def _numbers(logprobs: np.ndarray) -> np.ndarray:
    if np.isnan(logprobs).any():
        raise FloatingPointError("the model's log-probabilities are not numbers (NaN): its weights have diverged")
    return logprobs
