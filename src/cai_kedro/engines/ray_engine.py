"""A TextEngine on the machines of a Ray cluster (extra `cluster`)."""

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from cai_kedro.core.asks import Ask, n_choices
from cai_kedro.core.layouts.base import Layout
from cai_kedro.engines.base import Completion, Sampling
from cai_kedro.engines.fingerprint import directory_fingerprint
from cai_kedro.engines.loading import TransformersSettings, VLLMSettings
from cai_kedro.engines.model_reference import ModelReference
from cai_kedro.engines.prompt_ids import PromptIds
from cai_kedro.engines.ray_blocks import asked_to_choose, asked_to_generate, blocks_of
from cai_kedro.engines.ray_cluster import answers_of
from cai_kedro.engines.ray_settings import ClusterSettings


class RayEngine:
    """Sends the rows of a call, in fixed blocks, to workers that each hold the model.

    A block is one call of the worker's own engine, so which worker takes it changes nothing. Every call starts its
    workers anew, which takes a while: ask for many rows at a time.
    """

    def __init__(
        self,
        reference: ModelReference,
        model: TransformersSettings | VLLMSettings,
        cluster: ClusterSettings,
        scratch: Path,
    ) -> None:
        """Read the tokenizer; no cluster is asked yet.

        `scratch` is a folder that every machine sees; it keeps what was answered and may be deleted between runs. The
        model's path must be seen by every machine, too; a model of the hub is fetched by each of them. Raises
        `ValueError` for an incomplete model directory.
        """
        self._reference, self._model, self._cluster = reference, model, cluster
        self._scratch = scratch.resolve()
        self._directory = reference.whole_directory()
        self._prompts = PromptIds.of(self._directory, reference.layout)
        if isinstance(model, VLLMSettings):
            self._prompts.limit = model.max_model_len
        self.tokens_written = 0

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of the directory's weights, the precision they are used in, the tokenizer and the layout."""
        return directory_fingerprint(self._directory, self._prompts.tokenizer, self.layout, self._model.dtype)

    @property
    def layout(self) -> Layout:
        """How the model is asked."""
        return self._prompts.layout

    def generate(self, asks: Sequence[Ask], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """Sample one completion per ask, row i from seeds[i] alone.

        Raises `ValueError` for an ask that does not fit, `ClusterError` where the cluster or a worker fails.
        """
        if len(seeds) != len(asks):
            raise ValueError(f"every prompt needs a seed of its own, got {len(asks)} prompts and {len(seeds)} seeds")
        self._prompts.fitting(asks, needed=1)
        self._prompts.stops(asks)
        rows = blocks_of(list(zip(asks, seeds, strict=True)), self._cluster.block_prompts)
        asked = [asked_to_generate([ask for ask, _ in block], [s for _, s in block], sampling) for block in rows]
        said = self._ask(asked)
        self.tokens_written += sum(one["tokens"] for one in said)
        return [
            Completion(text, reason) for one in said for text, reason in zip(one["texts"], one["reasons"], strict=True)
        ]

    def choice_logprobs(self, asks: Sequence[Ask]) -> np.ndarray:
        """Return log P(choice | ask) over all tokens of the choice, in nats: (asks, choices), fp32.

        Raises as `generate` does.
        """
        if asks:
            longest = max(map(len, self._prompts.of_choices(asks)))
            self._prompts.fitting(asks, needed=longest + isinstance(self._model, VLLMSettings))
        asked = [asked_to_choose(block) for block in blocks_of(asks, self._cluster.block_prompts)]
        read = [row for one in self._ask(asked) for row in one["logprobs"]]
        return np.array(read, dtype=np.float32).reshape(len(asks), n_choices(asks))

    def fits(self, asks: Sequence[Ask], new_tokens: int) -> list[bool]:
        """Tell for each ask whether the model's context has room for it and `new_tokens` more."""
        return self._prompts.fits(asks, new_tokens)

    def _ask(self, asked: list[str]) -> list[dict[str, Any]]:
        if not asked:
            return []
        told = json.dumps([self.fingerprint, self._model.model_dump(), self._cluster.cpus, asked])
        folder = self._scratch / hashlib.sha256(told.encode()).hexdigest()[:16]
        answers = answers_of(asked, self._reference, self._model, self._cluster, folder)
        return [json.loads(one) for one in answers]
