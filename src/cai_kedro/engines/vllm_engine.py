"""A TextEngine on vLLM, in this process (extra `gpu`).

Not run on a GPU yet: written against the code of vLLM 0.32, and tested with a stand-in for the part of it that is used.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.core.asks import Ask, n_choices
from cai_kedro.core.layouts.base import Layout, LayoutChoice
from cai_kedro.engines.base import Completion, Sampling
from cai_kedro.engines.eos import end_id
from cai_kedro.engines.fingerprint import directory_fingerprint
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import save_language_model
from cai_kedro.engines.prompt_ids import PromptIds


class VLLMSettings(BaseModel):
    """How vLLM holds a model on one GPU."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["vllm"]
    dtype: Literal["float32", "bfloat16"] = Field(description="precision of the weights")
    gpu_memory_utilization: float = Field(gt=0, le=1, description="share of the GPU's memory that vLLM takes")
    max_model_len: int = Field(ge=2, description="tokens of the longest prompt with its answer; decides the memory")


def load_vllm(directory: Path, settings: VLLMSettings, **more: object) -> Any:
    """Return a `vllm.LLM` of a model directory, on the GPU; raises `ModuleNotFoundError` without the extra `gpu`."""
    import vllm  # noqa: PLC0415 - an extra that not every run needs

    return vllm.LLM(
        model=str(directory),
        dtype=settings.dtype,
        load_format="safetensors",
        trust_remote_code=False,
        enable_prefix_caching=True,
        gpu_memory_utilization=settings.gpu_memory_utilization,
        max_model_len=settings.max_model_len,
        **more,
    )


class VLLMEngine:
    """Samples and reads log-probabilities by vLLM's own batching, with prefix caching.

    Each request carries the seed of its row. What else is in a batch still changes logits in the last bits, and which
    requests meet in one is up to vLLM: unlike with the transformers engine, a run done again may differ in a few rows.
    """

    def __init__(self, directory: Path, settings: VLLMSettings, layout: LayoutChoice = "auto") -> None:
        """Load a model directory onto the GPU. Raises `ModuleNotFoundError` without the extra `gpu`."""
        import vllm  # noqa: PLC0415 - an extra that not every run needs

        self._vllm = vllm
        self._directory = directory
        self._scratch: TemporaryDirectory[str] | None = None
        self._dtype = settings.dtype
        self._prompts = PromptIds.of(directory, layout)
        self._prompts.limit = settings.max_model_len
        self._llm = load_vllm(directory, settings)
        self.tokens_written = 0

    @classmethod
    def merged(cls, lm: LanguageModel, settings: VLLMSettings) -> "VLLMEngine":
        """Load a model whose adapter is merged into its weights: through files, which stay as long as the engine."""
        scratch = TemporaryDirectory()
        save_language_model(replace(lm, model=lm.model.to(getattr(torch, settings.dtype))), Path(scratch.name))
        engine = cls(Path(scratch.name), settings)
        engine._scratch = scratch
        return engine

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of the directory's weights, the precision they are used in, the tokenizer and the layout."""
        return directory_fingerprint(self._directory, self._prompts.tokenizer, self.layout, self._dtype)

    @property
    def layout(self) -> Layout:
        """How the model is asked."""
        return self._prompts.layout

    def generate(self, asks: Sequence[Ask], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """Sample one completion per ask with the row's seed. Raises `ValueError` for an ask that does not fit."""
        if len(seeds) != len(asks):
            raise ValueError(f"every prompt needs a seed of its own, got {len(asks)} prompts and {len(seeds)} seeds")
        ids = self._prompts.fitting(asks, needed=1)
        stop = list(self._prompts.stops(asks))
        # vLLM itself stops at the EOS of tokenizer and generation config
        ended = [] if self.layout.turn_end is None else [end_id(self._prompts.tokenizer, self.layout)]
        params = [
            self._vllm.SamplingParams(
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                max_tokens=min(sampling.max_new_tokens, self._room(row)),
                seed=seed,
                stop=stop,
                stop_token_ids=ended,
            )
            for row, seed in zip(ids, seeds, strict=True)
        ]
        written = [output.outputs[0] for output in self._run(ids, params)]
        self.tokens_written += sum(len(one.token_ids) for one in written)
        return [Completion(one.text.strip(), "length" if one.finish_reason == "length" else "stop") for one in written]

    def choice_logprobs(self, asks: Sequence[Ask]) -> np.ndarray:
        """Return log P(choice | ask) over all tokens of the choice, in nats: (asks, choices), fp32.

        One request a choice, scored by `prompt_logprobs`; for such requests vLLM reads nothing from the prefix cache.
        A choice is tokenised apart from the prompt. Raises `ValueError` for an ask that does not fit.
        """
        if not asks:
            return np.empty((0, n_choices(asks)), dtype=np.float32)
        choice_ids = self._prompts.of_choices(asks)
        # vLLM always writes a token behind what it reads, so that one needs room, too
        ids = self._prompts.fitting(asks, needed=max(map(len, choice_ids)) + 1)
        asked = [[*row, *choice] for row in ids for choice in choice_ids]
        params = self._vllm.SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, detokenize=False)
        read = [output.prompt_logprobs for output in self._run(asked, [params] * len(asked))]
        sums = [summed(logprobs, choice_ids[i % len(choice_ids)]) for i, logprobs in enumerate(read)]
        return np.array(sums, dtype=np.float32).reshape(len(asks), len(choice_ids))

    def fits(self, asks: Sequence[Ask], new_tokens: int) -> list[bool]:
        """Tell for each ask whether `max_model_len` has room for it and `new_tokens` more."""
        return self._prompts.fits(asks, new_tokens)

    def _room(self, ids: Sequence[int]) -> int:
        assert self._prompts.limit is not None
        return self._prompts.limit - len(ids)

    def _run(self, ids: Sequence[list[int]], params: Sequence[Any]) -> list[Any]:
        """Return vLLM's outputs in the order of the prompts."""
        if not ids:
            return []
        return self._llm.generate(
            [self._vllm.TokensPrompt(prompt_token_ids=row) for row in ids], list(params), use_tqdm=False
        )


def summed(prompt_logprobs: Sequence[Any], choice: Sequence[int]) -> float:
    """Sum the log-probabilities (nats) of the last tokens of a prompt, which are those of the choice.

    `prompt_logprobs` has one mapping token id → object with `logprob` per token of the prompt (None for the first).
    """
    return sum(at[token].logprob for at, token in zip(list(prompt_logprobs)[-len(choice) :], choice, strict=True))
