"""The checkpoints of a training: each is there whole or not at all, and only the very run that wrote it reads it."""

import hashlib
import json
import logging
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from cai_kedro.core.durable import PART, remove, rename_durably
from cai_kedro.core.lock import locked
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.processes import ALONE, Processes
from cai_kedro.learning.training_arguments import CheckpointParams
from datasets import Dataset

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
SNAPSHOTS = "snapshots"
_CHECKPOINT = "checkpoint-"
_LOCK, _FINISHED = "lock", "finished"

# What may differ between a run and its continuation: how many rollouts it has, unless the learning rate goes by that,
# and where and when it writes.
_NOT_PART_OF_A_RUN = {"rollouts", "checkpoints"}
# What says where a model was read from and by which version, and not what it computes.
_NOT_PART_OF_A_MODEL = {"_name_or_path", "transformers_version"}


class ParamsWithCheckpoints(Protocol):
    """The parameters of a training that can write checkpoints."""

    @property
    def checkpoints(self) -> CheckpointParams | None:
        """Where and how often; None: it writes none."""
        ...

    def model_dump_json(self, *, exclude: Any) -> str:
        """Return all of them as JSON."""
        ...


@dataclass(frozen=True)
class RunFolder:
    """Where one run of a training keeps its checkpoints: its name holds the run's fingerprint.

    `checkpoint-<step>/` is one, with the digest of every file in its `manifest.json`; `snapshots/` are the policies
    along the way, which a checkpoint names, too.
    """

    path: Path
    fingerprint: str
    seconds: float

    def steps(self) -> dict[int, Path]:
        """Return step and folder of each checkpoint, in order; copies under other names are none."""
        found = self.path.glob(f"{_CHECKPOINT}*/")
        steps = {int(name): path for path in found if (name := path.name.removeprefix(_CHECKPOINT)).isdecimal()}
        return dict(sorted(steps.items()))

    def path_of(self, step: int) -> Path:
        """Return where the checkpoint behind so many steps is."""
        return self.path / f"{_CHECKPOINT}{step}"

    def newest(self, training: str, most_steps: int | None = None) -> Path | None:
        """Return the newest checkpoint, of at most so many steps, that is whole; None where there is none.

        Disks fail: one whose files are not as they were written is passed over with a warning.
        """
        for step, path in reversed(self.steps().items()):
            fault = self._fault(path) if most_steps is None or step <= most_steps else ""
            if fault is None:
                return path
            if fault:
                logger.warning(
                    "%s passes over %s: %s; it goes on from an older checkpoint, or starts again",
                    training,
                    path,
                    fault,
                )
        return None

    def publish(self, written: Path, shared: Mapping[str, str]) -> Path:
        """Seal a finished checkpoint with its manifest and give it its name; returns where it is.

        `shared` are the digests of the files beside it that it needs, by name. A crash at any moment leaves the whole
        checkpoint under its name, or nothing.
        """
        own = {f"{written.name}/{path.name}": sha256_of(path) for path in sorted(written.iterdir())}
        manifest = {"fingerprint": self.fingerprint, "files": {**own, **shared}}
        (written / MANIFEST).write_text(json.dumps(manifest, indent=2), encoding="utf-8")
        place = self.path / written.name
        remove(place)  # a damaged one, or that of a longer run, which is the same
        rename_durably(written, place)
        return place

    def shared_files(self, checkpoint: Path | None) -> dict[str, str]:
        """Return the digests of the files beside a checkpoint that it needs, and remove those that it does not know."""
        files = _manifest(checkpoint)["files"] if checkpoint else {}
        needed = {name: digest for name, digest in files.items() if name.startswith(f"{SNAPSHOTS}/")}
        for path in (self.path / SNAPSHOTS).glob("*"):
            if f"{SNAPSHOTS}/{path.name}" not in needed:
                remove(path)
        for part in self.path.glob(f".*{PART}"):  # of killed runs: whoever holds the lock is alone here
            remove(part)
        return needed

    def finish(self) -> None:
        """Say that this process has the trained model; its checkpoints go when that is saved (`remove_finished`)."""
        if not self.steps():
            return
        try:
            (self.path / _FINISHED).write_text(_this_process(), encoding="utf-8")
        except OSError as error:
            logger.warning("%s cannot be marked as finished (%s): remove it when the model is saved", self.path, error)

    def _fault(self, checkpoint: Path) -> str | None:
        """Say what is wrong with a checkpoint, None if nothing is."""
        try:
            manifest = _manifest(checkpoint)
            files, fingerprint = dict(manifest["files"]), manifest["fingerprint"]
        except FileNotFoundError:
            return f"it has no {MANIFEST}, so it was not finished"
        except (OSError, ValueError, TypeError, KeyError) as error:
            return f"its {MANIFEST} cannot be read ({error})"
        if fingerprint != self.fingerprint or not files:
            return f"it is of another run, {fingerprint}" if files else f"its {MANIFEST} names no file"
        for name, digest in files.items():
            path = checkpoint.parent / name
            if not path.is_file():
                return f"{name} is missing"
            if sha256_of(path) != digest:
                return f"{name} is not as it was written, cut off or damaged"
        return None


@contextmanager
def run_folder(
    training: str,
    params: ParamsWithCheckpoints,
    models: Sequence[LanguageModel],
    data: object,
    seed: int,
    processes: Processes = ALONE,
) -> Iterator[RunFolder | None]:
    """Lend a run the folder of its checkpoints, None where `params.checkpoints` is; what is empty is removed again.

    A model that is shared out over its processes gets none, either. On another number of processes sums are taken in
    another order, so that is another run. `data` is what is learnt from, a data set or what JSON takes. Raises
    `ValueError` where another process trains the same, or where the folder cannot be made.
    """
    if params.checkpoints is None or processes.sharding == "fsdp":
        yield None
        return
    if processes.processes > 1:
        training += f" on {processes.processes} processes"
    fingerprint = run_fingerprint(training, params, models, data, seed)
    parent = Path(params.checkpoints.directory)
    name = f"{training.lower().replace(' ', '_')}-{fingerprint}"
    folder = RunFolder(parent / name, fingerprint, params.checkpoints.seconds)
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"{training}: no checkpoint can be written below {parent} ({error}); set checkpoints.directory of this "
            f"training to a folder that can be written, or checkpoints to null for none"
        ) from error
    with locked(folder.path / _LOCK, f"the training with checkpoints in {folder.path}"):
        try:
            yield folder
            folder.finish()
        finally:
            if not folder.steps():
                _remove_with_parent(folder.path)


def run_fingerprint(
    training: str, params: ParamsWithCheckpoints, models: Sequence[LanguageModel], data: object, seed: int
) -> str:
    """Return a digest of all that decides a run's outcome, so that a checkpoint of another run is never continued."""
    digest = hashlib.blake2b(digest_size=8)
    left_out = _NOT_PART_OF_A_RUN - ({"rollouts"} if getattr(params, "slows_down", False) else set())
    digest.update(params.model_dump_json(exclude=left_out).encode())
    digest.update(json.dumps([training, seed, data.to_dict() if isinstance(data, Dataset) else data]).encode())
    for lm in models:
        configs = [lm.model.config, getattr(lm.model, "generation_config", None)]
        settings = [
            {name: value for name, value in config.to_dict().items() if name not in _NOT_PART_OF_A_MODEL}
            for config in configs
            if config is not None
        ]
        digest.update(
            json.dumps(
                [lm.layout.digest, settings, lm.adapter and lm.adapter.alpha], sort_keys=True, default=str
            ).encode()
        )
        for name, weight in lm.model.state_dict().items():
            digest.update(name.encode())
            digest.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def remove_finished(directories: Iterable[Path]) -> None:
    """Remove the checkpoints of trainings below these folders that this process finished: their models are saved."""
    for directory in directories:
        for marker in directory.glob(f"*/{_FINISHED}"):
            if marker.read_text(encoding="utf-8") == _this_process():
                _remove_with_parent(marker.parent)


def step_of(checkpoint: Path) -> int:
    """Return behind how many steps a checkpoint was written."""
    return int(checkpoint.name.removeprefix(_CHECKPOINT))


def sha256_of(path: Path) -> str:
    """Return the digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(checkpoint: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((checkpoint / MANIFEST).read_text(encoding="utf-8"))
    return content


def _this_process() -> str:
    return f"{os.getpid()} on {socket.gethostname()}"


def _remove_with_parent(folder: Path) -> None:
    remove(folder)
    with suppress(OSError):  # where other runs are still at work
        folder.parent.rmdir()
