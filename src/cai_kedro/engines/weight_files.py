"""The weights in a model directory: which files they are, whether they are whole, and whether they fit the config.

`from_pretrained` fills what is missing with random numbers and only logs it; here that is an error, found from the
headers of the files before anything is loaded.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils import logging as transformers_logging

from cai_kedro.core.strict_files import json_object

#: Types that a float cannot be read from without the scales of a quantisation, which no file here has.
_WHOLE_NUMBERS = {"I8", "U8", "I16", "U16", "I32", "U32", "I64", "U64", "BOOL"}

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


def weight_files(directory: Path) -> list[Path]:
    """Return the files that `from_pretrained` reads, each checked to be there and whole.

    Raises `ValueError` for an index that names a file which is not there, is no safetensors or lies elsewhere.
    """
    files = [directory / SINGLE] if (directory / SINGLE).is_file() else _shards(directory / INDEX)
    for file in files:
        check_whole(file)
    return files


def _shards(index: Path) -> list[Path]:
    content = json_object(index)
    if not isinstance(content.get("weight_map"), dict) or not isinstance(content.get("metadata"), dict):
        raise ValueError(
            f"{index} is no index of shards, it has {sorted(content)}; expected an object with `metadata` and "
            f"`weight_map`, tensor to file name"
        )
    names = sorted(content["weight_map"].values(), key=str)
    for name in names:
        if not isinstance(name, str) or not name.endswith(".safetensors") or Path(name).name != name:
            raise ValueError(f"{index} names the shard {name!r}; expected a .safetensors file in the same directory")
        if not (index.parent / name).is_file():
            raise ValueError(
                f"{index} names the shard {name!r}, which is not there; fetch or copy the whole model again"
            )
    if not names:
        raise ValueError(f"{index} names no shard; expected each tensor of the model with its file")
    return [index.parent / name for name in dict.fromkeys(names)]


def check_whole(weights: Path) -> None:
    """Raise `ValueError` unless the file is as long as its header says; no weights are read."""
    try:
        with safe_open(weights, framework="pt"):
            pass
    except SafetensorError as error:
        raise ValueError(
            f"the weights {weights} are cut off or damaged ({error}): remove this model and make or fetch it again"
        ) from error


def on_meta(files: list[Path]) -> dict[str, Tensor]:
    """Return every tensor by its name, with its shape and no values.

    Raises `ValueError` for one that two files hold, and for weights that are whole numbers.
    """
    tensors: dict[str, Tensor] = {}
    for file in files:
        with safe_open(file, framework="pt") as content:
            for name in content.keys():  # noqa: SIM118 - no mapping
                if name in tensors:
                    raise ValueError(f"{file} holds the tensor {name}, which is in another shard too; fetch both again")
                stored = content.get_slice(name)
                if name.endswith("weight") and stored.get_dtype() in _WHOLE_NUMBERS:
                    raise ValueError(
                        f"{file} holds the weights {name} as whole numbers ({stored.get_dtype()}), which are "
                        f"quantised; give the model as it was before"
                    )
                tensors[name] = torch.empty(stored.get_shape(), device="meta")
    return tensors


def check_fit(
    directory: Path, kind: Any, config: Any, tensors: Mapping[str, Tensor], renamed: dict[str, str]
) -> PreTrainedModel:
    """Return the model without values, built by `config` and filled with the shapes of `tensors`.

    It is transformers' own loading that compares, so renamed, merged and tied weights, and those that a family ignores,
    count as they do when the model is loaded. Raises `ValueError` with what is missing, not expected or of another
    shape.
    """
    with _quiet():
        try:
            model, report = kind.from_pretrained(
                None,  # from the tensors given
                config=config,
                state_dict=dict(tensors),
                key_mapping=renamed or None,
                device_map={"": "meta"},
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
        except Exception as error:
            raise ValueError(f"the weights in {directory} do not fit its config.json: {first_line(error)}") from error
    check_report(directory, report)
    checked: PreTrainedModel = model
    return checked


def embedding_rows(model: PreTrainedModel) -> int:
    """Return how many token ids the model reads."""
    weight: Any = model.get_input_embeddings().weight
    return int(weight.shape[0])


def check_report(directory: Path, report: Mapping[str, Any]) -> None:
    """Raise `ValueError` where `output_loading_info` of `from_pretrained` names weights that did not fit."""
    shapes = sorted(f"{n} ({list(file)} in the file, {list(own)} by config.json)" for n, file, own in _shapes(report))
    faults = {
        "missing": sorted(report["missing_keys"]),
        "not expected": sorted(report["unexpected_keys"]),
        "of another shape": shapes,
    }
    told = [f"{len(names)} {what}, such as {names[0]}" for what, names in faults.items() if names]
    if told:
        raise ValueError(
            f"the weights in {directory} do not fit its config.json: {'; '.join(told)}. Missing weights would be "
            f"random numbers: fetch or save the whole model again, or correct config.json"
        )


def _shapes(report: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    yield from report["mismatched_keys"]


def first_line(error: Exception) -> str:
    """Return kind and first line of an error of a library, for a sentence of ours."""
    return f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0]}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep transformers' own table of faults and its progress bar away: the error says it in one sentence."""
    before, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)
        if bars:
            transformers_logging.enable_progress_bar()


def weights_digest(directory: Path) -> str:
    """Return the sha256 of names, types, shapes and values of all weights of a directory, without loading the model.

    Copies of a model share it, however their weights are split into files. Another number type is another digest. It
    says which weights these are; what else decides answers is in `engines.fingerprint`.
    """
    digest = hashlib.sha256()
    where: dict[str, Path] = {}
    for file in weight_files(directory):
        with safe_open(file, framework="pt") as tensors:
            where |= dict.fromkeys(tensors.keys(), file)
    for name, file in sorted(where.items()):
        with safe_open(file, framework="pt") as tensors:
            weights = tensors.get_tensor(name)
        digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}\n".encode())
        digest.update(weights.contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
