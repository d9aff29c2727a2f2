"""What every text engine offers: sampling and the log-probabilities of given choices, row by row reproducible."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.core.asks import Ask
from cai_kedro.core.layouts.base import Layout


class Sampling(BaseModel):
    """How completions are drawn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: float = Field(ge=0)
    top_p: float = Field(gt=0, le=1)
    max_new_tokens: int = Field(ge=1)


@dataclass(frozen=True)
class Completion:
    """One sampled text, stripped, without its stop string; `length` means that the token limit cut it.

    `trouble` says why a model could not be asked; then there is no text.
    """

    text: str
    finish_reason: Literal["stop", "length"]
    trouble: str | None = None


class PromptTooLongError(ValueError):
    """Some prompts leave no room in the model's context; `rows` are their places. Nothing was computed."""

    def __init__(self, message: str, rows: Sequence[int]) -> None:
        super().__init__(message)
        self.rows = tuple(rows)


class TextEngine(Protocol):
    """A model behind the two calls that the method needs. Same seeds, same asks: same answer.

    What is asked is written down by the model's own layout. The asks of one call have the same choices and stop
    strings, as those of one kind have.

    Both calls raise `PromptTooLongError`, or `TurnsRefusedError` of the layout, with the rows that it is about, before
    they compute anything, so that the caller can go on without those rows
    (`engines/fitting.py`). An engine that counts the tokens it wrote may say so in an attribute `tokens_written`.
    """

    @property
    def fingerprint(self) -> str:
        """A digest of the weights, the tokenizer and the layout."""
        ...

    @property
    def layout(self) -> Layout:
        """How the model is asked."""
        ...

    def generate(self, asks: Sequence[Ask], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """Sample one completion per ask. Row i draws from seeds[i] alone, whatever the other rows are."""
        ...

    def choice_logprobs(self, asks: Sequence[Ask]) -> np.ndarray:
        """Return the log-probability of each choice as the continuation of each ask: (asks, choices), nats."""
        ...


@runtime_checkable
class KnowsContext(Protocol):
    """An engine that can tell what it can read."""

    def fits(self, asks: Sequence[Ask], new_tokens: int) -> list[bool]:
        """Tell for each ask whether it leaves room for so many more tokens."""
        ...


def fitting(engine: TextEngine, asks: Sequence[Ask], new_tokens: int) -> list[bool]:
    """Return which asks fit into the engine's context with `new_tokens` more; all where the engine cannot tell."""
    return engine.fits(asks, new_tokens) if isinstance(engine, KnowsContext) else [True] * len(asks)
