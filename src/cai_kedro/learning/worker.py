"""One process of a training on several: `python -m cai_kedro.learning.worker SPEC`, started by `learning.launch`."""

import importlib
import json
import logging
import sys
from pathlib import Path
from typing import Any

import torch
from pyarrow import parquet
from safetensors.torch import load_file
from torch import distributed
from transformers.utils.logging import disable_progress_bar

from cai_kedro.core.parents import end_with_parent
from cai_kedro.engines.adapter_files import is_adapter, read_adapter
from cai_kedro.engines.language_model import Adapter, LanguageModel
from cai_kedro.engines.model_files import load_language_model
from cai_kedro.learning import ranks
from cai_kedro.learning.checkpoints import RunFolder
from cai_kedro.learning.children import fault_file
from cai_kedro.learning.launch import MODEL, OTHER, ROWS, TRAINED, write_result
from cai_kedro.learning.outcome import Outcome
from cai_kedro.models.adapters import with_adapter
from datasets import Dataset


def main(spec: Path) -> None:
    """Train as the file says; the first process writes the result. A fault of the training is written as a sentence."""
    end_with_parent()
    log_to_stdout()
    if torch.cuda.is_available():
        torch.cuda.set_device(ranks.rank())
    try:
        work(spec)
    except ValueError as fault:
        fault_file(spec, ranks.rank()).write_text(str(fault), encoding="utf-8")
        sys.exit(1)


def log_to_stdout() -> None:
    """Have the first process tell what it does, the others only what is wrong: they would say the same."""
    logging.basicConfig(
        stream=sys.stdout,
        level=logging.INFO if ranks.is_first() else logging.WARNING,
        format="%(levelname)s %(message)s",
        force=True,
    )
    disable_progress_bar()


def work(spec: Path) -> None:
    """Train as the file says, and write the result beside it."""
    told: dict[str, Any] = json.loads(spec.read_text(encoding="utf-8"))
    params_class = _named(*told["parameters"][:2])
    params = params_class.model_validate(told["parameters"][2])
    lm = _start(spec.parent, told["adapter"])
    folder = None
    if told["checkpoints"]:
        path, fingerprint, seconds = told["checkpoints"]
        folder = RunFolder(Path(path), fingerprint, seconds)
    others = [load_language_model(place) for place in sorted(spec.parent.glob(f"{OTHER}*"))]
    rows = Dataset(parquet.read_table(spec.parent / ROWS))
    outcome: Outcome = _named(*told["train"])(lm, rows, params, told["seed"], folder, *others)
    if ranks.is_first():
        write_result(spec.parent, lm, outcome)
    distributed.barrier()
    distributed.destroy_process_group()


def _start(place: Path, adapter: dict[str, Any] | None) -> LanguageModel:
    lm = load_language_model(place / MODEL)
    if adapter is None:
        return lm
    backbone = Path(adapter["backbone"]) if adapter["backbone"] else None
    beneath = read_adapter(backbone) if backbone and is_adapter(backbone) else None
    shape = Adapter(**{**adapter, "targets": tuple(adapter["targets"]), "backbone": backbone}, beneath=beneath)
    return with_adapter(lm, shape, load_file(place / TRAINED))


def _named(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
