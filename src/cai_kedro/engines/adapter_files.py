"""An adapter on disk: its weights and config as peft names them, and which model it belongs on (`backbone.json`).

Reading merges it into its backbone, which needs no peft and makes it as fast as any other model. A backbone may be an
adapter itself, on the model that it was trained from. One of 4 bits is named as it is before its weights are rounded:
who reads the adapter rounds them again, which needs no bitsandbytes. Who reads, checks and digests a backbone is handed
in: it may be a reference to a model elsewhere.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel

from cai_kedro.core.finite import check_weights
from cai_kedro.core.strict_files import json_object
from cai_kedro.engines.language_model import Adapter, LanguageModel
from cai_kedro.engines.nf4 import NF4, round_trunk
from cai_kedro.engines.score_head import scored_trunk
from cai_kedro.engines.weight_files import check_whole

CONFIG, WEIGHTS, BACKBONE = "adapter_config.json", "adapter_model.safetensors", "backbone.json"
HEAD = "score"
_PREFIX = "base_model.model."  # what peft writes in front of the names of a model's tensors

Digest = Callable[[Path], str]


def is_adapter(directory: Path) -> bool:
    """Tell whether a directory holds an adapter of ours, which says what it belongs on."""
    return (directory / BACKBONE).is_file()


def save_adapter(lm: LanguageModel, directory: Path, digest: Digest) -> None:
    """Write a model's adapter; raises `ValueError` where its backbone lies nowhere, or for weights that are not finite.

    The backbone's path is written relative to the directory, so that both may be moved together.
    """
    adapter = lm.adapter
    assert adapter is not None
    if adapter.backbone is None or adapter.weights is None:
        raise ValueError(
            f"the adapter for {directory} belongs on a model that was never saved; save that one first, load it, and "
            f"train from it"
        )
    check_weights(f"the adapter for {directory}", adapter.weights.items(), "make it again with a lower learning rate")
    write_weights(lm.model, adapter, directory)
    place = os.path.relpath(adapter.backbone, os.path.abspath(directory))
    rounded = {"quantisation": adapter.quantisation} if adapter.quantisation else {}
    _write(directory / BACKBONE, {"path": place, "sha256": digest(adapter.backbone), **rounded})


def write_weights(model: PreTrainedModel, adapter: Adapter, directory: Path) -> None:
    """Write the two files that peft and vLLM read of an adapter on a model: its weights and its config."""
    assert adapter.weights is not None
    directory.mkdir(parents=True, exist_ok=True)
    named = {f"{_PREFIX}{name}": weights.contiguous() for name, weights in adapter.weights.items()}
    save_file(named, directory / WEIGHTS, metadata={"format": "pt"})
    _write(directory / CONFIG, _config(model, adapter))


def _config(model: PreTrainedModel, adapter: Adapter) -> dict[str, Any]:
    """Return what peft needs to know of the adapter to load it."""
    return {
        "peft_type": "LORA",
        "task_type": "SEQ_CLS" if adapter.has_head else "CAUSAL_LM",
        "base_model_name_or_path": None,
        "r": adapter.rank,
        "lora_alpha": adapter.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": any(not isinstance(_linear(model, name), nn.Linear) for name in adapter.targets),
        "target_modules": list(adapter.targets),
        "modules_to_save": [HEAD] if adapter.has_head else None,
        "inference_mode": True,
    }


def _linear(model: nn.Module, name: str) -> nn.Module:
    layer = model.get_submodule(name)
    return getattr(layer, "base_layer", layer)


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def load_adapter(directory: Path, load: Callable[[Path], LanguageModel], digest: Digest) -> LanguageModel:
    """Return the backbone with the adapter merged into its weights, which are rounded first if it was of 4 bits.

    Raises `ValueError` for a backbone that is not there or is another model than the one of the training, and for an
    adapter that is damaged, not finite or does not fit.
    """
    adapter = _read(directory, digest)
    assert adapter.backbone is not None
    backbone = load(adapter.backbone)
    lm = _merged(backbone, adapter, directory)
    return replace(lm, origin=directory, adapter=replace(adapter, beneath=backbone.adapter))


def merged_onto(lm: LanguageModel, directory: Path, found: str, where: str) -> LanguageModel:
    """Return the model, in place, with the adapter of a directory merged into its weights, wherever its backbone lies.

    `found` is the digest of the model, and `where` says which one it is. Raises `ValueError` for an adapter of another
    one, and as `load_adapter` does.
    """
    known = json_object(directory / BACKBONE)
    if found != known.get("sha256"):
        trained_on = f", {known['name']}" if known.get("name") else ""
        raise ValueError(
            f"the adapter in {directory} was trained on another model{trained_on} (sha256 "
            f"{str(known.get('sha256'))[:16]}…) than {where} ({found[:16]}…): give that model, or teach this one "
            f"(docs/guides/teach_skills.md)"
        )
    adapter = replace(_of(directory), backbone=None)
    return replace(_merged(lm, adapter, directory), origin=None, adapter=None)


def _merged(lm: LanguageModel, adapter: Adapter, directory: Path) -> LanguageModel:
    assert adapter.weights is not None
    check_weights(f"the adapter in {directory}", adapter.weights.items(), "make it again")
    if adapter.has_head:
        lm = replace(lm, model=scored_trunk(lm))
    if adapter.quantisation:
        round_trunk(lm.model)
    try:
        merge(lm.model, adapter)
    except (AttributeError, KeyError, RuntimeError) as error:
        raise ValueError(
            f"the adapter in {directory} does not fit {type(lm.model).__name__} in {adapter.backbone or lm.origin} "
            f"({error}); make it again"
        ) from error
    return replace(lm, model=lm.model.eval())


def check_adapter(directory: Path, check: Callable[[Path], object], digest: Digest) -> None:
    """Raise `ValueError` as `load_adapter` does, as far as it is known without loading; `check` looks at a backbone."""
    adapter = _read(directory, digest)
    assert adapter.backbone is not None
    check(adapter.backbone)


def adapter_digest(directory: Path, digest: Digest) -> str:
    """Return the sha256 of all that decides what model it is: backbone, weights and their scale."""
    whole = hashlib.sha256(digest(_place(directory)).encode())
    whole.update(str(json_object(directory / BACKBONE).get("quantisation", "")).encode())
    for name in (CONFIG, WEIGHTS):
        whole.update((directory / name).read_bytes())
    return whole.hexdigest()


def _place(directory: Path) -> Path:
    return Path(os.path.abspath(directory / str(json_object(directory / BACKBONE).get("path"))))


def _read(directory: Path, digest: Digest) -> Adapter:
    """Return an adapter whose backbone is there, and is the one that it was trained on."""
    check_adapter_files(directory)
    place, known = _place(directory), json_object(directory / BACKBONE).get("sha256")
    if not place.is_dir():
        raise ValueError(
            f"{directory} is an adapter on the model in {place}, which is not there: put it back, or make the adapter "
            f"again"
        )
    if (found := digest(place)) != known:
        raise ValueError(
            f"{directory} is an adapter on another model than the one that lies in {place} now (sha256 "
            f"{str(known)[:16]}… in {BACKBONE}, {found[:16]}… there): put that one back, or make the adapter again"
        )
    return _of(directory)


def check_adapter_files(directory: Path) -> None:
    """Raise `ValueError` unless a directory holds an adapter of ours, all of it; its backbone is not looked for."""
    for name in (BACKBONE, CONFIG, WEIGHTS):
        if not (directory / name).is_file():
            raise ValueError(f"the adapter in {directory} misses {name}; make it again")
    check_whole(directory / WEIGHTS)


def read_adapter(directory: Path) -> Adapter:
    """Return the adapter of a directory with those beneath it, without a look at the model; `ValueError` as above."""
    adapter = _of(directory)
    beneath = adapter.backbone
    return replace(adapter, beneath=read_adapter(beneath) if beneath and is_adapter(beneath) else None)


def _of(directory: Path) -> Adapter:
    """Return the adapter of a directory, whatever has become of its backbone."""
    check_adapter_files(directory)
    quantisation = json_object(directory / BACKBONE).get("quantisation")
    if quantisation not in (None, NF4):
        raise ValueError(f"{directory / BACKBONE} says quantisation={quantisation!r}; expected {NF4!r} or no such line")
    config = json_object(directory / CONFIG)
    try:
        return Adapter(
            rank=int(config["r"]),
            alpha=float(config["lora_alpha"]),
            targets=tuple(config["target_modules"]),
            backbone=_place(directory),
            weights={name.removeprefix(_PREFIX): each for name, each in load_file(directory / WEIGHTS).items()},
            has_head=bool(config["modules_to_save"]),
            quantisation=quantisation,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{directory / CONFIG} is none that this project wrote ({error!r}); make it again") from error


@torch.no_grad()
def merge(model: PreTrainedModel, adapter: Adapter) -> None:
    """Add alpha / rank · B A to the weights of the adapter's layers, and put in its head, in place.

    Raises `AttributeError`, `KeyError` or `RuntimeError` where model and adapter do not fit.
    """
    assert adapter.weights is not None
    for name in adapter.targets:
        layer: Any = model.get_submodule(name)
        a, b = (adapter.weights[f"{name}.lora_{side}.weight"].to(layer.weight.device) for side in "AB")
        change: Tensor = (b @ a) * (adapter.alpha / adapter.rank)
        # GPT-2's own layers keep their weights the other way round
        layer.weight.add_(change if isinstance(layer, nn.Linear) else change.T)
    if adapter.has_head:
        model.get_parameter(f"{HEAD}.weight").copy_(adapter.weights[f"{HEAD}.weight"])
