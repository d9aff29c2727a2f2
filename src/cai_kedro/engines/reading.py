"""Reading batches of token ids into a key/value cache, what rows have in common once, and then step by step."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from cai_kedro.engines.kv_cache import PreallocatedLayer, allocate_cache
from cai_kedro.engines.prefix_tree import Level, one_level, plan_levels
from cai_kedro.engines.prompt_ids import context_of
from cai_kedro.engines.shared_prefix import SharedPrefix


@contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Turn dropout and gradients off for a while."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():  # not inference_mode: a model in training may keep buffers made in here
            yield
    finally:
        model.train(was_training)


def context_length(model: PreTrainedModel) -> int | None:
    """Return how many tokens the model can read, None if it does not say."""
    return context_of(model.config)


@dataclass(frozen=True)
class BatchRules:
    """What may be done to a model's rows without changing their logits (found out in `family_probe.py`).

    `padding`: rows of several lengths side by side, and rows that leave a batch. `levels`: padding between what rows
    share and what they have of their own. `prefix`: one copy of what all rows begin with, outside the cache.
    """

    padding: bool
    levels: bool
    prefix: bool


class Reader:
    """Reads a batch of prompts into a cache, then more tokens step by step; returns the logits of the last positions.

    Tokens that several prompts begin with are read once and their keys and values copied to the rows that go on from
    them, level by level (`prefix_tree.py`). Within a level, segments are padded on the left. A `prefix` that all
    prompts begin with was read before and is not copied at all (`shared_prefix.py`).
    """

    def __init__(
        self,
        model: PreTrainedModel,
        prompt_ids: Sequence[Sequence[int]],
        *,
        room: int,
        pad: int,
        max_batch_tokens: int,
        rules: BatchRules,
        prefix: SharedPrefix | None = None,
    ) -> None:
        """Take the prompts; `room` is how many more tokens a row will be read.

        The cache holds at most `max_batch_tokens` tokens in all rows together, or rows that share nothing.
        """
        self._model, self._rules = model, rules
        self._accepts = accepted_arguments(model)
        self._prefix, self._offset = prefix, prefix.length if prefix else 0
        self._prompts, self._room, self._pad = [ids[self._offset :] for ids in prompt_ids], room, pad
        self._widest = max_batch_tokens // len(prompt_ids) - room
        self._read = 0

    def prompts(self, keep: int = 1) -> Tensor:
        """Read the prompts; return the logits (rows, keep, vocabulary) of their last positions."""
        # a window, a recurrent state or a bias by distance counts the padding between two levels as tokens
        levels = plan_levels(self._prompts, keep, self._widest) if self._rules.levels else one_level(self._prompts)
        return self.read_levels(levels, keep)

    def read_levels(self, levels: Sequence[Level], keep: int, gap: int = 0) -> Tensor:
        """Read these levels, each after `gap` places of padding that nothing is computed for; as `prompts` returns."""
        capacity = sum(level.width + gap for level in levels) + self._room
        self._cache = allocate_cache(self._model, capacity)
        device = self._model.device
        self._mask = torch.ones((1, capacity), dtype=torch.long, device=device)
        for number, level in enumerate(levels):
            parents = torch.tensor(level.parents, device=device)
            self._mask = self._mask[parents]
            if number:
                self._cache.reorder_cache(cast(torch.LongTensor, parents))
                self._skip(gap)
            logits = self._read_level(level, keep if level is levels[-1] else 1)
        return logits

    def _skip(self, gap: int) -> None:
        if not gap:
            return
        self._mask[:, self._read : self._read + gap] = 0
        for layer in self._cache.layers:
            assert isinstance(layer, PreallocatedLayer)
            layer.skip(gap)
        self._read += gap

    def _read_level(self, level: Level, keep: int) -> Tensor:
        ids = np.full((len(level.segments), level.width), self._pad, dtype=np.int64)
        real = np.zeros_like(ids)
        for i, segment in enumerate(level.segments):
            ids[i, level.width - len(segment) :] = segment
            real[i, level.width - len(segment) :] = 1
        self._mask[:, self._read : self._read + level.width] = torch.from_numpy(real).to(self._mask.device)
        # a token's position is the number of real ones before it, wherever there is padding
        self._positions = (self._mask.cumsum(-1) - 1).clamp_(min=0) + self._offset
        return self.read(torch.from_numpy(ids).to(self._mask.device), keep)

    def read(self, ids: Tensor, keep: int = 1) -> Tensor:
        """Read (rows, n) more tokens; return the logits (rows, keep, vocabulary) of the last positions, fp32."""
        start, end = self._read, self._read + ids.shape[1]
        optional: dict[str, Any] = {"position_ids": self._positions[:, start:end], "logits_to_keep": keep}
        given = {name: value for name, value in optional.items() if name in self._accepts}
        if "past_key_values" in self._accepts:
            given |= {"past_key_values": self._cache, "attention_mask": self._mask[:, :end]}
        else:  # recurrent families remember a state, and mask no token that they read before
            given |= {"cache_params": self._cache, "attention_mask": self._mask[:, start:end]}
        if self._prefix:
            given["shared_prefix"] = self._prefix
        with self._prefix.attended(self._model) if self._prefix else nullcontext():
            output = self._model(input_ids=ids, use_cache=True, **given)
        self._read = end
        logits: Tensor = output.logits[:, -keep:].float()
        return logits

    def forget(self, n: int) -> None:
        """Take back the last n tokens of every row."""
        self._cache.crop(-n)
        self._read -= n

    def keep_rows(self, rows: Tensor) -> None:
        """Go on with these rows of the batch only."""
        self._cache.reorder_cache(cast(torch.LongTensor, rows))
        self._mask, self._positions = self._mask[rows], self._positions[rows]


def accepted_arguments(model: PreTrainedModel) -> frozenset[str]:
    """Return the names of what the model's forward pass takes."""
    unwrap = getattr(model, "get_base_model", None)  # under PEFT, whose own signature says nothing
    return frozenset(inspect.signature((unwrap() if unwrap else model).forward).parameters)
