"""A training on several processes, which nobody has to start by hand (`training.processes`).

On this machine each is `python -m cai_kedro.learning.worker SPEC` with the variables by which torch.distributed finds
the others, as torchrun sets them; on a cluster Ray Train does that (`training.cluster`). All that a training is told
lies in a work folder; what it gives comes back through it.
"""

import json
import logging
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from pyarrow import parquet
from safetensors.torch import load_file, save_file

from cai_kedro.core.durable import remove
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import save_language_model
from cai_kedro.learning.checkpoints import RunFolder
from cai_kedro.learning.children import run_children
from cai_kedro.learning.outcome import Outcome, Train
from cai_kedro.learning.processes import Processes
from cai_kedro.models.adapters import backbone_alone
from cai_kedro.models.weights import put_weights, trained_weights
from datasets import Dataset

logger = logging.getLogger(__name__)

#: What a work folder holds: told to the processes, and given back by the first one.
SPEC, MODEL, OTHER, TRAINED, ROWS, RESULT = (
    "spec.json",
    "model",
    "other-",
    "trained.safetensors",
    "rows.parquet",
    "result",
)
#: What of an adapter is told.
ADAPTER = ("rank", "alpha", "targets", "quantisation")
WEIGHTS, CURVES, SNAPSHOTS = "weights.safetensors", "curves.json", "snapshots"


def train_on(
    processes: Processes,
    train: Train,
    lm: LanguageModel,
    dataset: Dataset,
    params: Any,
    seed: int,
    folder: RunFolder | None,
    others: Sequence[LanguageModel] = (),
) -> Outcome:
    """Train the model in place: `train(lm, dataset, params, seed, folder, *others)`, here or on several processes.

    `others` are read and stay as they are. The processes learn from the same batches as one, so losses and weights are
    the same but for rounding. Raises `ValueError` for a fault that the training tells, and `RuntimeError` for a process
    that ended otherwise.
    """
    if processes.processes == 1:
        return train(lm, dataset, params, seed, folder, *others)
    for fault in processes.faults(params, "this training"):
        raise ValueError(fault)
    devices = [each.model.device for each in (lm, *others)]
    for each in (lm, *others):
        each.model.to(torch.device("cpu"))  # type: ignore[arg-type]
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # the processes need the room
    with _work_folder(folder, processes) as work:
        _tell(work, train, lm, dataset, params, seed, folder)
        for number, each in enumerate(others):
            save_language_model(each, work / f"{OTHER}{number}")
        _run(work / SPEC, processes, params.device)
        outcome = _read(work / RESULT)
        put_weights(lm.model, load_file(work / RESULT / WEIGHTS))
    for each, device in zip((lm, *others), devices, strict=True):
        each.model.to(device)  # type: ignore[arg-type]
    lm.model.eval()
    return outcome


def _run(spec: Path, processes: Processes, device: str) -> None:
    if processes.cluster is None:
        run_children(spec, processes, device)
        return
    from cai_kedro.learning.on_cluster import run_on_cluster  # noqa: PLC0415 - an extra that not every run needs

    run_on_cluster(spec, processes, device)


@contextmanager
def _work_folder(folder: RunFolder | None, processes: Processes) -> Iterator[Path]:
    """Lend a folder beside the checkpoints, where a model has room; what a killed run left there is removed."""
    if folder is None:
        shared = None if processes.cluster is None else Path(processes.cluster.scratch)
        if shared is not None:
            shared.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=shared) as scratch:
            yield Path(scratch)
        return
    work = folder.path / "work"
    remove(work)
    work.mkdir()
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _tell(
    work: Path, train: Train, lm: LanguageModel, dataset: Dataset, params: Any, seed: int, folder: RunFolder | None
) -> None:
    with backbone_alone(lm):
        save_language_model(lm, work / MODEL)
    adapter = None
    if lm.adapter is not None:
        adapter = {name: getattr(lm.adapter, name) for name in ADAPTER}
        adapter["backbone"] = lm.adapter.backbone and str(lm.adapter.backbone.absolute())
        save_file(trained_weights(lm.model), work / TRAINED)
    parquet.write_table(dataset.data.table, work / ROWS)
    spec = {
        "train": [train.__module__, train.__qualname__],
        "parameters": [type(params).__module__, type(params).__qualname__, params.model_dump(mode="json")],
        "seed": seed,
        "adapter": adapter,
        "checkpoints": folder and [str(folder.path.absolute()), folder.fingerprint, folder.seconds],
    }
    (work / SPEC).write_text(json.dumps(spec), encoding="utf-8")


def _read(result: Path) -> Outcome:
    rows = json.loads((result / CURVES).read_text(encoding="utf-8"))
    snapshots = {int(file.stem): load_file(file) for file in (result / SNAPSHOTS).iterdir()}
    curves = pd.DataFrame(rows, columns=["step", "metric", "value"])
    return Outcome(curves, dict(sorted(snapshots.items())))


def write_result(work: Path, lm: LanguageModel, outcome: Outcome) -> None:
    """Write what `train_on` reads."""
    result = work / RESULT
    (result / SNAPSHOTS).mkdir(parents=True)
    save_file(trained_weights(lm.model), result / WEIGHTS)
    for step, weights in outcome.snapshots.items():
        save_file(weights, result / SNAPSHOTS / f"{step}.safetensors")
    rows = list(outcome.curves.itertuples(index=False, name=None))
    (result / CURVES).write_text(json.dumps(rows), encoding="utf-8")
