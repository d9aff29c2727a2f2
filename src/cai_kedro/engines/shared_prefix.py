"""What all prompts of a call begin with (few-shots): read once, stored once, and attended to by every row.

Copying its keys and values to every row would make the cache, and what each new token has to read, as long as if every
row had read it. Here one copy serves all rows: for a new token its scores are one matrix product over all rows.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from cai_kedro.engines.kv_cache import PreallocatedLayer, allocate_cache, can_rewind

ATTENTION = "cai_shared_prefix"
SPECIAL = ("position_bias", "s_aux", "sliding_window", "softcap")  # what some models add to their attention
LEAST_TOKENS = 16  # below this, two products for one cost more than they save
KEYS_AT_ONCE = 32768  # of a layer, prefix included, when several tokens a row are read: bounds what is copied


@dataclass
class SharedPrefix:
    """The keys and values (1, heads, length, width) of each layer.

    `uses` counts the layers that called our attention function in the last forward pass, `special` those of them that
    wanted more than it can do. Without layers it only counts.
    """

    length: int
    layers: list[tuple[Tensor, Tensor]]
    uses: int = 0
    special: int = 0

    @contextmanager
    def attended(self, model: PreTrainedModel) -> Iterator[None]:
        """Let the model attend to the prefix for one forward pass, which needs `shared_prefix=self`."""
        before = model.config._attn_implementation
        self.uses = self.special = 0
        model.config._attn_implementation = ATTENTION
        try:
            yield
        finally:
            model.config._attn_implementation = before
        assert not self.layers or self.uses == len(self.layers), (
            f"{type(model).__name__} does not hand on what its attention needs"
        )


def shared_length(rows: Sequence[Sequence[int]], own: int) -> int:
    """Return how many tokens all rows begin with, at most all but `own` of each; 0 for one row or too few tokens."""
    if len(rows) < 2:  # noqa: PLR2004 - a lone row shares nothing
        return 0
    first, last = min(map(list, rows)), max(map(list, rows))  # what these two share, all others do
    length = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    length = min(length, *(len(row) - own for row in rows))
    return length if length >= LEAST_TOKENS else 0


def can_attend(model: PreTrainedModel) -> bool:
    """Say whether the model attends by transformers' own function to keys of all tokens, so that ours can stand in."""
    return (
        getattr(model, "_supports_attention_backend", False)
        and model.config._attn_implementation == "sdpa"
        and model.config.get_text_config(decoder=True) is model.config
        and can_rewind(model)
    )


def read_prefix(model: PreTrainedModel, rows: Sequence[Sequence[int]], own: int) -> SharedPrefix | None:
    """Read what all rows begin with; None where that is too little or the model cannot attend to it.

    Every row keeps its last `own` tokens. Whether every layer calls our function, and for nothing that it cannot do,
    shows while the prefix itself is read.
    """
    length = shared_length(rows, own)
    if not length or not can_attend(model):
        return None
    cache = allocate_cache(model, length)
    ids, probe = torch.tensor([rows[0][:length]], device=model.device), SharedPrefix(0, [])
    with probe.attended(model):
        model(input_ids=ids, past_key_values=cache, use_cache=True, shared_prefix=probe)
    layers = [layer.filled for layer in cache.layers if isinstance(layer, PreallocatedLayer)]
    return SharedPrefix(length, layers) if probe.uses == len(layers) and not probe.special else None


def own_lengths(rows: Sequence[Sequence[int]], prefix: SharedPrefix | None) -> list[int]:
    """Return how many tokens of each row come after the prefix."""
    return [len(row) - (prefix.length if prefix else 0) for row in rows]


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    shared_prefix: SharedPrefix | None = None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend to the prefix and to a row's own keys: (rows, heads, n, width) queries → (rows, n, heads, width).

    `key` and `value` (rows, key heads, own, width) and the mask (rows, 1, n, own; True: may be seen) are a row's own.
    A model that does not hand on what its attention needs attends as ever, and is not counted.
    """
    if shared_prefix is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    shared_prefix.uses += 1
    shared_prefix.special += any(kwargs.get(name) is not None for name in SPECIAL)
    if not shared_prefix.layers:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    keys, values = shared_prefix.layers[int(module.layer_idx)]  # type: ignore[arg-type]
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    n, own = query.shape[2], key.shape[2]
    if n == 1:
        return _one_token(query, key, value, keys, values, attention_mask, scaling), None
    if attention_mask is None:
        causal = torch.ones((n, own), dtype=torch.bool, device=query.device).tril(own - n)
        attention_mask = causal.expand(len(query), 1, -1, -1)
    mask = pad(attention_mask, (shared_prefix.length, 0), value=True)
    at_once = max(1, KEYS_AT_ONCE // (shared_prefix.length + own))
    parts = []
    for rows in torch.arange(len(query)).split(at_once):
        part = slice(int(rows[0]), int(rows[-1]) + 1)
        joined_keys, joined_values = (
            torch.cat([shared.expand(len(rows), -1, -1, -1), mine[part]], dim=2)
            for shared, mine in ((keys, key), (values, value))
        )
        seen, _ = sdpa_attention_forward(module, query[part], joined_keys, joined_values, mask[part], scaling=scaling)
        parts.append(seen)
    return torch.cat(parts), None


def _one_token(
    query: Tensor, key: Tensor, value: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, scaling: float
) -> Tensor:
    """Attend with one query a row, the prefix for all rows in one product; returns (rows, 1, heads, width)."""
    rows, heads, _, width = query.shape
    key_heads, length = keys.shape[1], keys.shape[2]
    grouped = query.view(rows, key_heads, heads // key_heads, width) * scaling
    flat = grouped.transpose(0, 1).reshape(key_heads, -1, width)
    of_prefix = torch.bmm(flat, keys[0].transpose(1, 2)).view(key_heads, rows, -1, length).transpose(0, 1)
    of_own = grouped @ key.transpose(2, 3)
    if mask is not None:
        of_own = of_own.masked_fill(~mask, -torch.inf)
    weights = torch.softmax(torch.cat([of_prefix, of_own], dim=-1), dim=-1, dtype=torch.float32).to(query.dtype)
    flat = weights[..., :length].transpose(0, 1).reshape(key_heads, -1, length)
    seen = torch.bmm(flat, values[0]).view(key_heads, rows, -1, value.shape[-1]).transpose(0, 1)
    return (seen + weights[..., length:] @ value).reshape(rows, 1, heads, -1)


AttentionInterface.register(ATTENTION, attend)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
