"""The weights that a training changes: all of a model, or those of an adapter and a head."""

from torch import Tensor, nn


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """Return the weights that a training changes: all, or those of an adapter and a head."""
    return [weights for weights in module.parameters() if weights.requires_grad]


def trained_weights(module: nn.Module) -> dict[str, Tensor]:
    """Return a copy of the trainable weights on the CPU; tied weights become one copy each, as safetensors asks."""
    frozen = _frozen(module)
    named = dict(module.named_parameters()) if frozen else module.state_dict()
    return {
        name: weight.detach().to("cpu", copy=True).contiguous() for name, weight in named.items() if name not in frozen
    }


def put_weights(module: nn.Module, weights: dict[str, Tensor]) -> None:
    """Put what `trained_weights` returned back into a module of the same kind, in place."""
    if not (frozen := _frozen(module)):
        module.load_state_dict(weights)
        return
    assert weights.keys() == dict(module.named_parameters()).keys() - frozen
    module.load_state_dict(weights, strict=False)


def _frozen(module: nn.Module) -> set[str]:
    return {name for name, weights in module.named_parameters() if not weights.requires_grad}


def put_layer(model: nn.Module, name: str, layer: nn.Module) -> None:
    """Put a layer into the place of that name."""
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, layer)
