"""A preference model read on the backbone of a policy, in the place of a whole model of its own.

Both were trained as adapters, and some backbone is the same one beneath both. What the preference model's weights are
more than those of the policy's backbone is then of low rank: its own adapter, less the adapters that are merged into
the policy's backbone. Added to what the layers give, this makes the policy's backbone the preference model but for
rounding, and only these few weights and the head lie on the device beside it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from cai_kedro.engines.adapter_files import HEAD
from cai_kedro.engines.language_model import Adapter, LanguageModel
from cai_kedro.engines.score_head import scored_trunk
from cai_kedro.models.adapters import as_it_came


class BorrowedBackbone(nn.Module):
    """A preference model whose trunk is that of a policy in training; only head and change are its own."""

    def __init__(self, policy: LanguageModel, head: Tensor, change: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        # a list hides the trunk from this module, which is moved and counted without it
        self._scores: list[Any] = [scored_trunk(policy)]
        self.head = nn.Parameter(head.clone(), requires_grad=False)
        self._layers = list(change)
        self.down = nn.ParameterList(nn.Parameter(down, requires_grad=False) for down, _ in change.values())
        self.up = nn.ParameterList(nn.Parameter(up, requires_grad=False) for _, up in change.values())

    @contextmanager
    def lent(self) -> Iterator[PreTrainedModel]:
        """Lend the preference model: inside, the policy's layers are those of the preference model."""
        scores = self._scores[0]
        self.to(scores.device)
        scores.score.weight = self.head
        hooks = [
            scores.get_submodule(name).register_forward_hook(partial(_add, down, up))
            for name, down, up in zip(self._layers, self.down, self.up, strict=True)
        ]
        try:
            with as_it_came(scores):
                yield scores
        finally:
            for hook in hooks:
                hook.remove()


def _add(down: Tensor, up: Tensor, layer: nn.Module, given: tuple[Any, ...], out: Tensor) -> Tensor:
    return out + functional.linear(functional.linear(given[0], down), up)


def on_backbone_of(policy: LanguageModel, preference_model: LanguageModel) -> BorrowedBackbone | None:
    """Return the preference model on the backbone of a policy that is being trained as an adapter.

    None where they have no backbone in common, where one is trained whole, and where a backbone is of 4 bits: its
    weights with an adapter merged into them were rounded again.
    """
    if policy.adapter is None or preference_model.adapter is None:
        return None
    own, other = list(_with_all_beneath(preference_model.adapter)), list(_with_all_beneath(policy.adapter))
    lies = [each[-1].backbone for each in (own, other)]
    if lies[0] is None or lies[1] is None or lies[0].resolve() != lies[1].resolve():
        return None
    if any(each.quantisation or each.weights is None for each in (*own, *other[1:])) or policy.adapter.quantisation:
        return None
    assert own[0].weights is not None
    change: dict[str, tuple[Tensor, Tensor]] = {}
    signed = chain(((each, 1) for each in own), ((each, -1) for each in other[1:]))
    for adapter, sign in signed:
        for name in adapter.targets:
            down, up = _factors(adapter, name, sign)
            if name in change:
                down, up = torch.cat([change[name][0], down]), torch.cat([change[name][1], up], dim=1)
            change[name] = down, up
    return BorrowedBackbone(policy, own[0].weights[f"{HEAD}.weight"], change)


def _with_all_beneath(adapter: Adapter) -> Iterator[Adapter]:
    """Yield an adapter, the one beneath it, and so on; the backbone of the last is a whole model."""
    yield adapter
    if adapter.beneath is not None:
        yield from _with_all_beneath(adapter.beneath)


def _factors(adapter: Adapter, name: str, sign: int) -> tuple[Tensor, Tensor]:
    """Return A (rank, inputs), and B (outputs, rank) times its scale and sign."""
    assert adapter.weights is not None
    down, up = (adapter.weights[f"{name}.lora_{side}.weight"] for side in "AB")
    return down, up * (sign * adapter.alpha / adapter.rank)
