"""Training an adapter in the place of a whole model: `training` of the parameters, the same for every training.

A training gets a model from `prepared` and gives `trained` back. In between, layers of peft hold the adapter; peft is
imported where one is made, and by nothing else.
"""

import copy
import difflib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.adapter_files import HEAD, merge
from cai_kedro.engines.language_model import Adapter, LanguageModel
from cai_kedro.models.weights import put_weights, trained_weights

NAME = "default"  # the name that peft gives an adapter


class LoRAParams(BaseModel):
    """How large an adapter is: `rank` of each change of weights; alpha / rank is what the change is multiplied by.

    `targets` are names of linear layers, as in `q_proj`; null for all of the trunk.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(ge=1)
    alpha: float = Field(gt=0)
    targets: list[str] | None = Field(min_length=1)


class AdapterParams(BaseModel):
    """What of a model every training of the run changes: all weights (`none`), or an adapter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    adapter: Literal["none", "lora", "qlora"]
    lora: LoRAParams


def qlora_fault(where: str = "training") -> str:
    """Return why no adapter is trained on a backbone of 4 bits; `where` is the block of the parameters."""
    why = "" if torch.cuda.is_available() else ", needs a CUDA GPU, and this machine has none"
    return f"{where}.adapter is `qlora`, which is not built yet{why}; set it to lora, or to none"


def prepared(lm: LanguageModel, params: AdapterParams, seed: int, where: str = "training") -> LanguageModel:
    """Return the model, in place, as a training is to change it: whole, or with a fresh adapter that changes nothing.

    The adapter that it came with is part of the backbone from here on: with the new one off, the model is the one that
    came, which PPO and DPO hold a policy to. Raises `ValueError` that names the block of the parameters (`where`) if no
    layer is a target.
    """
    if params.adapter == "qlora":
        raise ValueError(qlora_fault(where))
    backbone = lm.origin
    if lm.adapter is not None and is_injected(lm.model):
        _unload(lm.model)
        merge(lm.model, lm.adapter)
        backbone = None  # these merged weights lie nowhere
    lm = replace(lm, origin=None, adapter=None)
    if params.adapter == "none":
        return lm
    targets = targets_of(lm.model, params.lora, where)
    _inject(lm.model, params.lora, targets, derive_seed(seed, "adapter"))
    return replace(lm, adapter=Adapter(params.lora.rank, params.lora.alpha, targets, backbone))


def targets_of(model: PreTrainedModel, params: LoRAParams, where: str = "training") -> tuple[str, ...]:
    """Return the linear layers of the trunk that get an adapter; `ValueError` for a name that none of them has."""
    layers = _linear_layers(model)
    called = sorted({name.rpartition(".")[2] for name in layers})
    for target in params.targets or ():
        if not any(_is_called(name, target) for name in layers):
            near = difflib.get_close_matches(target, called, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "correct it, or set it to null for all"
            raise ValueError(
                f"{where}.lora.targets names {target!r}, and no linear layer of {type(model).__name__} is called so, "
                f"only {', '.join(called) or 'none at all'}; {hint}"
            )
    if not layers:
        raise ValueError(
            f"{type(model).__name__} has no linear layer that an adapter could be put on; set {where}.adapter to none"
        )
    return tuple(n for n in layers if not params.targets or any(_is_called(n, each) for each in params.targets))


def _linear_layers(model: PreTrainedModel) -> list[str]:
    trunk = {id(module) for module in model.base_model.modules()}
    return [
        name for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D) and id(module) in trunk
    ]


def _is_called(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def _inject(model: PreTrainedModel, params: LoRAParams, targets: tuple[str, ...], seed: int) -> None:
    from peft import LoraConfig, inject_adapter_in_model  # noqa: PLC0415 - two seconds that no other training needs

    config = LoraConfig(
        r=params.rank,
        lora_alpha=params.alpha,  # type: ignore[arg-type] # a float will do
        # a pattern is taken as it is; of a list of names peft makes a shorter one
        target_modules="|".join(re.escape(name) for name in targets),
        fan_in_fan_out=any(isinstance(model.get_submodule(name), Conv1D) for name in targets),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(config, model, NAME)
    for name, weights in model.named_parameters():
        weights.requires_grad_(".lora_" in name)


def with_adapter(lm: LanguageModel, adapter: Adapter, weights: dict[str, Tensor]) -> LanguageModel:
    """Return the model, in place, with an adapter on it and these weights of `trained_weights`, to go on training."""
    _inject(lm.model, LoRAParams(rank=adapter.rank, alpha=adapter.alpha, targets=None), adapter.targets, 0)
    for name, each in lm.model.named_parameters():
        each.requires_grad_(name in weights)
    put_weights(lm.model, weights)
    return replace(lm, origin=None, adapter=adapter)


@contextmanager
def backbone_alone(model: PreTrainedModel) -> Iterator[None]:
    """Take the layers that hold an adapter out of the model, if there are some, and put them back afterwards."""
    layers = _adapted(model)
    for name, layer in layers:
        _put(model, name, layer.get_base_layer())
    try:
        yield
    finally:
        for name, layer in layers:
            _put(model, name, layer)


def _put(model: PreTrainedModel, name: str, layer: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(model.get_submodule(parent), own, layer)


def is_injected(model: nn.Module) -> bool:
    """Tell whether layers of peft hold an adapter."""
    return hasattr(model, "peft_config")


def _adapted(model: nn.Module) -> list[tuple[str, Any]]:
    return [(name, module) for name, module in model.named_modules() if hasattr(module, "lora_A")]


def _unload(model: PreTrainedModel) -> None:
    """Put the layers of the backbone back, without the adapter."""
    for name, layer in _adapted(model):
        _put(model, name, layer.get_base_layer())
    del model.peft_config
    model.requires_grad_(True)


def check_prepared(lm: LanguageModel) -> None:
    """Raise `ValueError` for a model with an adapter that a training would neither train nor leave out."""
    if lm.adapter is not None and lm.adapter.weights is not None:
        raise ValueError(
            "this model came with an adapter, which is merged into its weights; give it to models.adapters.prepared "
            "before it is trained"
        )


def trained(lm: LanguageModel) -> LanguageModel:
    """Return the model as a training gives it back: with the weights of its adapter, if it has one, and no origin."""
    if lm.adapter is None:
        return replace(lm, origin=None)
    return with_adapter_weights(lm, trained_weights(lm.model))


def with_adapter_weights(lm: LanguageModel, weights: Mapping[str, Tensor]) -> LanguageModel:
    """Return the model whose adapter has these weights, by the names of `trained_weights`."""
    assert lm.adapter is not None
    named = {name.replace(f".{NAME}.", "."): each for name, each in weights.items()}
    return replace(lm, origin=None, adapter=replace(lm.adapter, weights=named, has_head=f"{HEAD}.weight" in named))


def copy_with(lm: LanguageModel, weights: dict[str, Tensor]) -> LanguageModel:
    """Return a copy of a trained model that holds these weights of `trained_weights`.

    A whole model is copied to the CPU. With an adapter the copy shares the backbone.
    """
    if lm.adapter is None:
        model = copy.deepcopy(lm.model).cpu()
        model.load_state_dict(weights)
        return replace(lm, model=model, origin=None)
    shared = {id(each): each for each in (*lm.model.parameters(), *lm.model.buffers()) if not each.requires_grad}
    model = copy.deepcopy(lm.model, dict(shared))
    put_weights(model, weights)
    return with_adapter_weights(replace(lm, model=model), weights)


@contextmanager
def as_it_came(model: nn.Module) -> Iterator[None]:
    """Turn the adapter off, so that the model is the one that it was prepared from; no gradients inside."""
    layers = [layer for _, layer in _adapted(model)]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        with torch.no_grad():
            yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)
