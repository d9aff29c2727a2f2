"""Engines that note what they are asked."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from os.path import commonprefix

import numpy as np
from transformers import PreTrainedTokenizerBase

from cai_kedro.engines.base import Completion, Sampling, TextEngine
from cai_kedro.engines.text_ids import text_ids


@dataclass
class Meter:
    """A TextEngine that notes the prompts of each call, and what was written."""

    engine: TextEngine
    asked: list[list[str]] = field(default_factory=list)
    written: list[str] = field(default_factory=list)

    @property
    def fingerprint(self) -> str:
        """That of the engine."""
        return self.engine.fingerprint

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, seeds: Sequence[int], stop: Sequence[str] = ()
    ) -> list[Completion]:
        """Sample as the engine does."""
        done = self.engine.generate(prompts, sampling, seeds, stop)
        self.asked.append(list(prompts))
        self.written.extend(completion.text for completion in done)
        return done

    def choice_logprobs(self, prompts: Sequence[str], choices: Sequence[str]) -> np.ndarray:
        """Score as the engine does."""
        scored = self.engine.choice_logprobs(prompts, choices)
        self.asked.append(list(prompts))
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


class Recorder:
    """A TextEngine without a model, that answers with placeholders: for prompts that are only to be seen."""

    fingerprint = "recorder"

    def __init__(self, *texts: str) -> None:
        self._texts = texts or ("[what the model writes]",)
        self.asked: list[list[str]] = []

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, seeds: Sequence[int], stop: Sequence[str] = ()
    ) -> list[Completion]:
        """Give every prompt of a call the same text: the first one in the first call, and so on."""
        text = self._texts[min(len(self.asked), len(self._texts) - 1)]
        self.asked.append(list(prompts))
        return [Completion(text, "stop")] * len(prompts)

    def choice_logprobs(self, prompts: Sequence[str], choices: Sequence[str]) -> np.ndarray:
        """Prefer nothing."""
        self.asked.append(list(prompts))
        return np.zeros((len(prompts), len(choices)), dtype=np.float32)
