"""Muon (momentum, orthogonalised by Newton-Schulz) with one batched iteration for all matrices of a shape.

torch.optim.Muon iterates matrix by matrix; on a CPU the batched form makes a step of the micro LM several times
cheaper, and a third of the training time with it.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


def orthogonalise(updates: Tensor) -> Tensor:
    """Return the nearest semi-orthogonal matrices, roughly: (n, rows, columns), rows <= columns."""
    a, b, c = _COEFFICIENTS
    x = (updates / (updates.flatten(1).norm(dim=1)[:, None, None] + 1e-7)).bfloat16()
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.float()


def _wide(matrix: Tensor, is_wide: bool) -> Tensor:
    return matrix if is_wide else matrix.T


class BatchedMuon(torch.optim.Optimizer):
    """Muon over 2-D parameters; wide matrices are iterated as they are, tall ones transposed."""

    def __init__(
        self, params: Iterable[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.01
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[tuple[int, int], list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    low, high = sorted(parameter.shape)
                    by_shape.setdefault((low, high), []).append(parameter)
            for parameters in by_shape.values():
                self._step_shape(parameters, group)

    def _step_shape(self, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        wide = [p.shape[0] <= p.shape[1] for p in parameters]
        gradients = torch.stack([_wide(p.grad, w) for p, w in zip(parameters, wide, strict=True) if p.grad is not None])
        state = self.state[parameters[0]]
        buffer = state.setdefault("momentum", torch.zeros_like(gradients))
        buffer.lerp_(gradients, 1 - group["momentum"])
        updates = orthogonalise(torch.lerp(gradients, buffer, group["momentum"]))
        for parameter, is_wide, update in zip(parameters, wide, updates, strict=True):
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            scale = max(1.0, parameter.shape[0] / parameter.shape[1]) ** 0.5
            parameter.add_(_wide(update, is_wide), alpha=-group["lr"] * scale)
