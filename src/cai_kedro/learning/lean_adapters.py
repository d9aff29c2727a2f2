"""Frozen layers and those with a low-rank adapter, with fewer passes over memory, for training on a CPU.

Frozen weights are brought into the precision of the products once a training, where autocast does it at every pass.
What the adapter adds is added in place, in the same precision; peft takes the states to float32 and back. Only the
rounding of bfloat16 differs.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.nn import functional

from cai_kedro.models.adapters import NAME

Held = Callable[[torch.dtype], tuple[Tensor, Tensor | None]]


class LowRank(torch.autograd.Function):
    """x Wᵀ + b + scale · (x Aᵀ) Bᵀ, with gradients for x (…, d), A (rank, d) and B (width, rank) alone."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor | None, down: Tensor, up: Tensor, scale: float
    ) -> Tensor:
        """Return (…, width) in the precision of W; A and B may be of a higher one."""
        rows = x.reshape(-1, x.shape[-1]).to(weight.dtype)
        down, up = down.to(weight.dtype), (up * scale).to(weight.dtype)
        inner = rows @ down.T
        out = functional.linear(rows, weight, bias).addmm_(inner, up.T)
        ctx.save_for_backward(rows, inner, weight, down, up)
        ctx.scale, ctx.of = scale, (x.shape, x.dtype)  # type: ignore[attr-defined]
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None, None, Tensor, Tensor, None]:
        """Return the gradients; none for an x that nothing below learns from."""
        rows, inner, weight, down, up = ctx.saved_tensors
        shape, dtype = ctx.of
        g = gradient.reshape(-1, gradient.shape[-1])
        of_inner = g @ up
        of_x = (g @ weight).addmm_(of_inner, down).view(shape).to(dtype) if ctx.needs_input_grad[0] else None
        return of_x, None, None, of_inner.T @ rows, (g.T @ inner) * ctx.scale, None


@contextmanager
def lean_adapters(model: nn.Module) -> Iterator[None]:
    """Have the frozen linear layers of a model, and those with an adapter on one, computed like this for a while.

    A model without an adapter stays as it is, and so do layers that are computed like this already.
    """
    lent = [each for each in model.modules() if "forward" not in vars(each)]
    has_adapter = any(hasattr(each, "lora_A") for each in lent)
    frozen = [each for each in lent if has_adapter and type(each) is nn.Linear and not each.weight.requires_grad]
    held = {layer: _held(layer) for layer in frozen}
    adapted = [each for each in lent if hasattr(each, "lora_A") and each.base_layer in held]
    for layer in frozen:
        layer.forward = partial(_linear, held[layer])  # type: ignore[method-assign]
    for module in adapted:
        module.forward = partial(_adapted, module, held[module.base_layer])  # type: ignore[index]
    try:
        yield
    finally:
        for module in (*frozen, *adapted):
            del module.forward


def _held(layer: nn.Linear) -> Held:
    """Return what gives the weights of a layer in a precision, each one made once."""
    known: dict[torch.dtype, tuple[Tensor, Tensor | None]] = {}

    def of(dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
        if dtype not in known:
            bias = None if layer.bias is None else layer.bias.detach().to(dtype)
            known[dtype] = layer.weight.detach().to(dtype), bias
        return known[dtype]

    return of


def _dtype(x: Tensor) -> torch.dtype:
    of = x.device.type
    return torch.get_autocast_dtype(of) if torch.is_autocast_enabled(of) else x.dtype


def _linear(held: Held, x: Tensor) -> Tensor:
    dtype = _dtype(x)
    return functional.linear(x.to(dtype), *held(dtype))


def _adapted(module: Any, held: Held, x: Tensor) -> Tensor:
    if module.disable_adapters:
        return _linear(held, x)
    down, up = module.lora_A[NAME].weight, module.lora_B[NAME].weight
    changed: Tensor = LowRank.apply(x, *held(_dtype(x)), down, up, module.scaling[NAME])
    return changed
