"""Trainers that write checkpoints as time passes, and go on from the newest whole one."""

import json
import logging
import time
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cai_kedro.core.durable import part_of, remove, rename_durably
from cai_kedro.core.finite import check_weights
from cai_kedro.learning.checkpoints import SNAPSHOTS, RunFolder, sha256_of
from cai_kedro.learning.finite import FiniteTraining
from cai_kedro.models.weights import put_weights, trained_weights

logger = logging.getLogger(__name__)

WEIGHTS = "model.safetensors"
PROGRESS = "progress.json"
KEPT = 2  # where the newest is damaged, the other one is taken
#: The next checkpoint comes no sooner than so many times what the last one took to write: at most 5 % of the time.
_REST = 19
#: What a full or broken disk is to safetensors and to `torch.save`, beside `OSError`.
_NOT_WRITTEN = (OSError, SafetensorError, RuntimeError)


class ResumableTraining(FiniteTraining):
    """A mixin to stand before any Hugging Face trainer. A checkpoint is all that decides how the training goes on.

    That is: what is trained, the optimiser, the schedule, the random numbers, the place in the data and the curves, by
    transformers; `snapshots`, the weights along the way by step; and `progress()`, what else a training remembers. It
    is written at a line of the curves, so that no figure is lost between two, or, with `epochs_are_steps`, at the end
    of an epoch.
    """

    epochs_are_steps = False
    folder: RunFolder | None = None
    _part: Path | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.snapshots: dict[int, dict[str, Tensor]] = {}
        self.shared_files: dict[str, str] = {}
        self.kept: list[Path] = []

    def progress(self) -> Any:
        """Return what the training remembers beside this, as JSON takes it."""
        return None

    def restore(self, progress: Any) -> None:
        """Take back what `progress` gave."""

    def train_in(self, folder: RunFolder | None, most_steps: int | None = None) -> None:
        """Train to the end, from the newest checkpoint in the folder if there is one, and write new ones there.

        `most_steps`: a longer run's checkpoints beyond so many steps are not this run's. Without a folder, train.
        """
        resume_from = None
        if folder is not None:
            self.folder = folder
            resume_from = folder.newest(self.training_name, most_steps)
            self.shared_files = folder.shared_files(resume_from)
            self.add_callback(_Clock(self, folder.seconds))
        if folder is not None and resume_from is not None:
            step = int(resume_from.name.rpartition("-")[2])
            self.kept = [path for before, path in folder.steps().items() if before <= step]
            logger.info("%s: goes on from step %d, a checkpoint in %s", self.training_name, step, folder.path)
        self.train(resume_from_checkpoint=str(resume_from) if resume_from else None)
        if folder is not None:
            folder.finish()

    # ---- what the Trainer asks for

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._part or self.args.output_dir)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        assert output_dir is not None
        assert self.model is not None
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        save_file(trained_weights(self.model), Path(output_dir) / WEIGHTS)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint; where that fails, say so and train on: the one before stays the newest.

        Raises `ValueError` where a weight is not finite.
        """
        assert self.folder is not None
        assert self.model is not None
        check_weights(self.training_name, self.model.named_parameters())
        place = self.folder.path / f"checkpoint-{self.state.global_step}"
        self._part = part_of(place)
        try:
            self._save_snapshots(self.folder)
            Trainer._save_checkpoint(self, model, trial)  # TRL's adds a model card
            written = self._part / place.name
            content = {
                "snapshots": sorted(self.snapshots),
                "progress": self.progress(),
                "unlogged": dict(self._unlogged()),
            }
            (written / PROGRESS).write_text(json.dumps(content), encoding="utf-8")
            self.kept.append(self.folder.publish(written, self.shared_files))
        except _NOT_WRITTEN as error:
            newest = self.kept[-1].name if self.kept else "none"
            logger.warning(
                "%s: %s could not be written (%s), the newest is still %s; training goes on and tries again: make room "
                "on the disk of %s",
                *(self.training_name, place.name, error, newest, self.folder.path),
            )
        finally:
            remove(self._part)
            self._part = None
        while len(self.kept) > KEPT:
            remove(self.kept.pop(0))

    def _unlogged(self) -> dict[str, list[float]]:
        """Return the figures behind the last line of the curves, of which TRL writes one more at the end of a training.

        There are some in the checkpoint of the last step alone: all others are written at a line.
        """
        figures: dict[str, list[float]] = getattr(self, "_metrics", {}).get("train", {})
        return figures

    def _save_snapshots(self, folder: RunFolder) -> None:
        for step, weights in self.snapshots.items():
            name = f"{SNAPSHOTS}/{step}.safetensors"
            if name not in self.shared_files:
                place = folder.path / name
                place.parent.mkdir(exist_ok=True)
                save_file(weights, part_of(place))
                rename_durably(part_of(place), place)
                self.shared_files[name] = sha256_of(place)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        checkpoint = Path(resume_from_checkpoint)
        assert self.folder is not None
        assert self.model is not None
        put_weights(self.model, load_file(checkpoint / WEIGHTS))
        content = json.loads((checkpoint / PROGRESS).read_text(encoding="utf-8"))
        snapshots = self.folder.path / SNAPSHOTS
        self.snapshots = {step: load_file(snapshots / f"{step}.safetensors") for step in content["snapshots"]}
        if content["unlogged"]:
            self._unlogged().update(content["unlogged"])
            self.model.train()  # TRL writes the figures of the mode that the model is in, and no step is left to set it
        self.restore(content["progress"])


class _Clock(TrainerCallback):
    """Asks for a checkpoint at the first boundary where it is time, and at the end of a training that took so long."""

    def __init__(self, trainer: ResumableTraining, seconds: float) -> None:
        self.trainer, self.seconds = trainer, seconds
        self.asked = self.last = self.took = 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.last = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        last = state.global_step >= state.max_steps
        if not self.trainer.epochs_are_steps and (control.should_log or last):
            control.should_save = self._is_time(last)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.trainer.epochs_are_steps:
            control.should_save = self._is_time(state.global_step >= state.max_steps)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        now = time.monotonic()
        self.took, self.last = now - self.asked, now

    def _is_time(self, last: bool) -> bool:
        self.asked = time.monotonic()
        if self.seconds == 0:
            return True
        if last and self.trainer.kept:
            return True
        return self.asked - self.last >= max(self.seconds, _REST * self.took)
