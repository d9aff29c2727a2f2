"""Attention and RMSNorm with fewer passes over memory, for training on a CPU.

A small model on a CPU spends its time on reading and writing activations, not on products. Both compute what
transformers' own code computes; only the rounding of bfloat16 gradients differs.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import AttentionMaskInterface, eager_mask
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from cai_kedro.engines.reading import evaluating

logger = logging.getLogger(__name__)

TRIED_TOKENS = 8

#: The name under which transformers knows `grouped_attention`.
ATTENTION = "cai_kedro_cpu"
#: What some families add to their attention (a window is in the mask).
SPECIAL = ("position_bias", "s_aux", "softcap")
#: Root mean square by which another kernel may change the states of a few tokens, in their standard deviations.
ROUNDING, ROUNDING_16_BIT = 0.001, 0.05


def grouped_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend, as transformers asks of a kernel: queries (n, H, T, d), keys and values (n, K, S, d) → (n, T, H, d).

    `attention_mask` (n or 1, 1, T, S) is added to the scores. The H / K heads that share keys are read as one longer
    query, so keys and values are not repeated, and the queries are scaled instead of the many more scores.

    Raises `ValueError` where a family adds to its attention what is not computed here.
    """
    special = [name for name in SPECIAL if kwargs.get(name) is not None]
    if special:
        raise ValueError(f"this attention knows no {', '.join(special)}")
    n, heads, length, width = query.shape
    shared, seen = key.shape[1], key.shape[2]
    queries = (query * scaling).reshape(n * shared, -1, width)
    scores = torch.bmm(queries, key.reshape(n * shared, seen, width).transpose(1, 2))
    if attention_mask is not None:
        # float32's lowest number would round to -inf, and a padding token, which sees nothing, to NaN
        mask = attention_mask.clamp(min=torch.finfo(scores.dtype).min).to(scores.dtype)
        scores = scores.view(n, heads, length, seen) + mask
    weights = functional.dropout(functional.softmax(scores, -1), dropout, module.training)
    out = torch.bmm(weights.view(n * shared, -1, seen), value.reshape(n * shared, seen, width))
    return out.view(n, heads, length, width).transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, grouped_attention)
AttentionMaskInterface.register(ATTENTION, eager_mask)


def set_attention(model: PreTrainedModel, kernel: str) -> None:
    """Have a model attend by another kernel, unless it then computes something else: that is tried on a few tokens."""
    before = model.config._attn_implementation
    if kernel == before or not model._can_set_attn_implementation():
        return
    ids = torch.arange(TRIED_TOKENS, device=model.device)[None]
    with evaluating(model):
        expected = model.base_model(input_ids=ids)[0].float()
        try:
            model.set_attn_implementation(kernel)
            states = model.base_model(input_ids=ids)[0].float()
            error = ((states - expected).square().mean().sqrt() / expected.std()).item()
            fault = f"the states of its layers are then off by {error:.2f} of their standard deviations"
        except (ValueError, TypeError, RuntimeError) as refusal:
            error, fault = float("inf"), str(refusal)
    is_16_bit = model.dtype in {torch.bfloat16, torch.float16}
    if error > (ROUNDING_16_BIT if is_16_bit else ROUNDING):
        model.set_attn_implementation(before)
        logger.info("%s keeps its attention %r in training, not %r: %s", type(model).__name__, before, kernel, fault)


class RMSNorm(torch.autograd.Function):
    """weight * x / sqrt(mean(x²) + epsilon) over the last dimension, with a backward pass of its own."""

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, weight: Tensor, epsilon: float, dtype: torch.dtype) -> Tensor:
        """Return the normalised x (…, d), computed in x's precision and written in `dtype`."""
        mean_square = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.shape[-1])
        inverse = mean_square.add_(epsilon).rsqrt_()
        normal = x * inverse
        ctx.save_for_backward(normal, weight, inverse)
        return torch.mul(normal, weight, out=torch.empty_like(normal, dtype=dtype))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """Return d/dx = (g - normal * mean(g * normal)) / rms with g = gradient * weight, and d/dweight."""
        normal, weight, inverse = ctx.saved_tensors
        width = normal.shape[-1]
        of_weight = (gradient * normal).reshape(-1, width).sum(0)
        g = gradient * weight
        along = (g * normal).sum(-1, keepdim=True).div_(-width)
        return g.addcmul_(normal, along).mul_(inverse), of_weight, None, None


def _normalise(module: LlamaRMSNorm, x: Tensor) -> Tensor:
    # what follows a norm is a product: under autocast it would round its input to bfloat16 anyway, once per product
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    return RMSNorm.apply(x, module.weight, module.variance_epsilon, dtype)


@contextmanager
def lean_norms(model: PreTrainedModel) -> Iterator[None]:
    """Have the Llama norms of a float32 model computed by `RMSNorm` for a while; other kinds stay as they are."""
    norms = [module for module in model.modules() if type(module) is LlamaRMSNorm]
    norms = [norm for norm in norms if norm.weight.dtype == torch.float32]
    for norm in norms:
        norm.forward = partial(_normalise, norm)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward
