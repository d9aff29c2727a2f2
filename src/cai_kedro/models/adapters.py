"""Training an adapter in the place of a whole model: `training` of the parameters, the same for every training.

A training gets a model from `prepared` and gives `trained` back. In between, layers of peft hold the adapter; peft is
imported where one is made, and by nothing else.
"""

import copy
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.adapter_files import HEAD, merge
from cai_kedro.engines.language_model import Adapter, LanguageModel
from cai_kedro.engines.nf4 import BLOCK, NF4, linear_layers
from cai_kedro.models.weights import put_layer, put_weights, trained_weights

NAME = "default"  # the name that peft gives an adapter
_BLOCK = re.compile(r"\.(\d+)\.")


class LoRAParams(BaseModel):
    """How large an adapter is: `rank` of each change of weights; alpha / rank is what the change is multiplied by.

    `targets` are names of linear layers, as in `q_proj`; null for all of the trunk.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(ge=1)
    alpha: float = Field(gt=0)
    targets: list[str] | None = Field(min_length=1)


class AdapterParams(BaseModel):
    """What of a model every training of the run changes: all weights (`none`), or an adapter.

    `lora` holds the backbone in the precision that it has, `qlora` its linear layers in 4 bits.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    adapter: Literal["none", "lora", "qlora"]
    lora: LoRAParams


def qlora_faults(model: PreTrainedModel | None, where: str = "training") -> Iterator[str]:
    """Tell why no adapter is trained on the model in 4 bits, or on any; `where` is the block of the parameters."""
    if find_spec("bitsandbytes") is None:
        yield (
            f"{where}.adapter is `qlora`, which needs the package 'bitsandbytes': pip install -e '.[gpu]', or "
            f"bitsandbytes alone; or set it to lora"
        )
        return
    if model is None:
        return
    widths = {name: int(model.get_submodule(name).in_features) for name in linear_layers(model)}  # type: ignore[arg-type]
    odd = next((name for name, width in widths.items() if width % BLOCK), None)
    if any(isinstance(layer, Conv1D) for layer in model.modules()):
        yield (
            f"{where}.adapter is `qlora`, and {type(model).__name__} keeps weights in layers (Conv1D) that are not "
            f"held in 4 bits; set it to lora"
        )
    elif odd is not None:  # on a CPU bitsandbytes would read other weights than it was given
        yield (
            f"{where}.adapter is `qlora`, and {odd} of {type(model).__name__} reads {widths[odd]} numbers; expected a "
            f"multiple of {BLOCK}, which share a scale: set it to lora"
        )


def prepared(lm: LanguageModel, params: AdapterParams, seed: int, where: str = "training") -> LanguageModel:
    """Return the model, in place, as a training is to change it: whole, or with a fresh adapter that changes nothing.

    The adapter that it came with is part of the backbone from here on: with the new one off, the model is the one that
    came, which PPO and DPO hold a policy to; of 4 bits it is the one that came but for the rounding of its weights.
    Raises `ValueError` that names the block of the parameters (`where`) if no layer is a target, and without what 4
    bits need.
    """
    backbone, beneath = lm.origin, lm.adapter
    if lm.adapter is not None and is_injected(lm.model):
        _unload(lm.model)
        for name, layer in _whole_layers(lm.model):
            put_layer(lm.model, name, layer)
        lm.model.requires_grad_(True)
        merge(lm.model, lm.adapter)
        backbone = None  # these merged weights lie nowhere
    lm = replace(lm, origin=None, adapter=None)
    if params.adapter == "none":
        return lm
    targets = targets_of(lm.model, params.lora, where)
    for fault in qlora_faults(lm.model, where) if params.adapter == "qlora" else ():
        raise ValueError(fault)
    quantisation = NF4 if params.adapter == "qlora" else None
    adapter = Adapter(
        params.lora.rank, params.lora.alpha, targets, backbone, quantisation=quantisation, beneath=beneath
    )
    _inject(lm.model, adapter, derive_seed(seed, "adapter"))
    return replace(lm, adapter=adapter)


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


def upper_layers(targets: Sequence[str], blocks: int) -> tuple[str, ...]:
    """Return the layers of the last so many blocks; `ValueError` where names do not tell the block."""
    block = {name: int(found[1]) for name in targets if (found := _BLOCK.search(name))}
    if len(block) < len(targets):
        other = next(name for name in targets if name not in block)
        raise ValueError(
            f"the layer {other!r} has no number of a block in its name, so nobody knows the upper ones; set "
            f"upper_layers to null"
        )
    return tuple(name for name in targets if block[name] > max(block.values()) - blocks)


def _linear_layers(model: PreTrainedModel) -> list[str]:
    trunk = {id(module) for module in model.base_model.modules()}
    return [
        name for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D) and id(module) in trunk
    ]


def _is_called(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def _inject(model: PreTrainedModel, adapter: Adapter, seed: int) -> None:
    """Put fresh weights of the adapter on the model, and hold it in 4 bits where the adapter says so, in place."""
    from peft import LoraConfig, inject_adapter_in_model  # noqa: PLC0415 - two seconds that no other training needs

    if adapter.quantisation:
        from cai_kedro.models.four_bits import quantise  # noqa: PLC0415 - an extra

        quantise(model)
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,  # type: ignore[arg-type] # a float will do
        # a pattern is taken as it is; of a list of names peft makes a shorter one
        target_modules="|".join(re.escape(name) for name in adapter.targets),
        fan_in_fan_out=any(isinstance(model.get_submodule(name), Conv1D) for name in adapter.targets),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(config, model, NAME)
    for name, weights in model.named_parameters():
        weights.requires_grad_(".lora_" in name)


def with_adapter(lm: LanguageModel, adapter: Adapter, weights: dict[str, Tensor]) -> LanguageModel:
    """Return the model, in place, with an adapter on it and these weights of `trained_weights`, to go on training."""
    _inject(lm.model, adapter, 0)
    for name, each in lm.model.named_parameters():
        each.requires_grad_(name in weights)
    put_weights(lm.model, weights)
    return replace(lm, origin=None, adapter=adapter)


@contextmanager
def backbone_alone(lm: LanguageModel) -> Iterator[None]:
    """Take the layers that hold an adapter out of the model, if there are some, and put them back afterwards.

    Those of 4 bits are in single precision meanwhile; held in 4 bits again, they are what they were.
    """
    model, layers = lm.model, _adapted(lm.model)
    for name, layer in layers:
        put_layer(model, name, layer.get_base_layer())
    whole = _whole_layers(model)
    held = [(name, model.get_submodule(name)) for name, _ in whole]
    for name, layer in whole:
        put_layer(model, name, layer)
    try:
        yield
    finally:
        for name, layer in (*held, *layers):
            put_layer(model, name, layer)


def _whole_layers(model: PreTrainedModel) -> list[tuple[str, nn.Linear]]:
    """Return a layer in single precision for each one that is held in 4 bits (`models.four_bits`)."""
    return [(name, module.whole()) for name, module in model.named_modules() if hasattr(module, "whole")]


def is_injected(model: nn.Module) -> bool:
    """Tell whether layers of peft hold an adapter."""
    return hasattr(model, "peft_config")


def _adapted(model: nn.Module) -> list[tuple[str, Any]]:
    return [(name, module) for name, module in model.named_modules() if hasattr(module, "lora_A")]


def _unload(model: PreTrainedModel) -> None:
    """Put the layers of the backbone back, without the adapter."""
    for name, layer in _adapted(model):
        put_layer(model, name, layer.get_base_layer())
    del model.peft_config


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
