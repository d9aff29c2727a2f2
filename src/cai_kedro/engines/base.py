"""What every text engine offers: sampling and the log-probabilities of given choices, row by row reproducible."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import BaseModel, ConfigDict, Field


class Sampling(BaseModel):
    """How completions are drawn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(ge=0)
    top_p: float = Field(gt=0, le=1)
    max_new_tokens: int = Field(ge=1)


@dataclass(frozen=True)
class Completion:
    """One sampled text, stripped, without its stop string; `length` means that the token limit cut it."""

    text: str
    finish_reason: Literal["stop", "length"]


class PromptTooLongError(ValueError):
    """Some prompts leave no room in the model's context; `rows` are their places. Nothing was computed."""

    def __init__(self, message: str, rows: Sequence[int]) -> None:
        super().__init__(message)
        self.rows = tuple(rows)


class TextEngine(Protocol):
    """A model behind the two calls that the method needs. Same seeds, same prompts: same answer.

    Both calls raise `PromptTooLongError` before they compute anything, so that the caller can go on without those rows
    (`engines/fitting.py`). An engine that counts the tokens it wrote may say so in an attribute `tokens_written`.
    """

    @property
    def fingerprint(self) -> str:
        """A digest of the weights and the tokenizer."""
        ...

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, seeds: Sequence[int], stop: Sequence[str] = ()
    ) -> list[Completion]:
        """Sample one completion per prompt. Row i draws from seeds[i] alone, whatever the other rows are."""
        ...

    def choice_logprobs(self, prompts: Sequence[str], choices: Sequence[str]) -> np.ndarray:
        """Return the log-probability of each choice as the continuation of each prompt: (prompts, choices), nats."""
        ...


@runtime_checkable
class KnowsContext(Protocol):
    """An engine that can tell which prompts it can read."""

    def fits(self, prompts: Sequence[str], new_tokens: int) -> list[bool]:
        """Tell for each prompt whether it leaves room for so many more tokens."""
        ...


def fitting(engine: TextEngine, prompts: Sequence[str], new_tokens: int) -> list[bool]:
    """Return which prompts fit into the engine's context with `new_tokens` more; all where the engine cannot tell."""
    return engine.fits(prompts, new_tokens) if isinstance(engine, KnowsContext) else [True] * len(prompts)
