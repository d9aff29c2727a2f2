"""Engines that note what they are asked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from os.path import commonprefix

import numpy as np
from transformers import PreTrainedTokenizerBase

from cai_kedro.core.asks import Ask, n_choices
from cai_kedro.core.layouts.base import Layout
from cai_kedro.core.layouts.hh import HH
from cai_kedro.engines.base import Completion, Sampling, TextEngine
from cai_kedro.engines.text_ids import text_ids


@dataclass
class Meter:
    """A TextEngine that notes what each call asks, as the model reads it, and what was written."""

    engine: TextEngine
    asked: list[list[str]] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """That of the engine."""
        return self.engine.fingerprint

    @property
    def layout(self) -> Layout:
        """That of the engine."""
        return self.engine.layout

    def generate(self, asks: Sequence[Ask], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """Sample as the engine does."""
        done = self.engine.generate(asks, sampling, seeds)
        self.asked.append(shown(self.layout, asks))
        self.written.extend(completion.text for completion in done)
        return done

    def choice_logprobs(self, asks: Sequence[Ask]) -> np.ndarray:
        """Score as the engine does."""
        scored = self.engine.choice_logprobs(asks)
        self.asked.append(shown(self.layout, asks))
        return scored


@dataclass(frozen=True)
class Noted:
    """Counts of calls and tokens."""

    calls: int
    prompt_tokens: int
    shared_tokens: int
    written_tokens: int
    written_bytes: int


def noted(meter: Meter, tokenizer: PreTrainedTokenizerBase) -> Noted:
    """Count what a meter noted. Shared is what all prompts of a call begin with, in each of them but the first."""
    prompt_tokens = shared_tokens = 0
    for prompts in meter.asked:
        prompt_tokens += count_tokens(tokenizer, prompts)
        shared = commonprefix(prompts)  # noqa: RUF071 - of any texts, whatever its module says
        shared_tokens += count_tokens(tokenizer, [shared]) * max(0, len(prompts) - 1)
    return Noted(
        calls=sum(map(len, meter.asked)),
        prompt_tokens=prompt_tokens,
        shared_tokens=shared_tokens,
        written_tokens=count_tokens(tokenizer, meter.written),
        written_bytes=sum(len(text.encode()) for text in meter.written),
    )


def count_tokens(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> int:
    """Return the number of tokens of all texts, without special ones."""
    return sum(map(len, text_ids(tokenizer, texts)))


def shown(layout: Layout, asks: Sequence[Ask]) -> list[str]:
    """Return what a model reads of each ask."""
    return [layout.prompt(ask).shown for ask in asks]


class Recorder:
    """A TextEngine without a model, that answers with placeholders: for prompts that are only to be seen."""

    fingerprint = "recorder"

    def __init__(self, *texts: str, layout: Layout = HH) -> None:
        self.layout = layout
        self._texts = texts or ("[what the model writes]",)
        self.asked: list[list[str]] = []

    def generate(self, asks: Sequence[Ask], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """Give every ask of a call the same text: the first one in the first call, and so on."""
        text = self._texts[min(len(self.asked), len(self._texts) - 1)]
        self.asked.append(shown(self.layout, asks))
        return [Completion(text, "stop")] * len(asks)

    def choice_logprobs(self, asks: Sequence[Ask]) -> np.ndarray:
        """Prefer nothing."""
        self.asked.append(shown(self.layout, asks))
        return np.zeros((len(asks), n_choices(asks)), dtype=np.float32)
