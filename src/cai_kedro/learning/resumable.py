"""Trainers that write checkpoints as time passes, and go on from the newest whole one."""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cai_kedro.core.durable import part_of, rename_durably
from cai_kedro.core.finite import check_weights
from cai_kedro.learning import ranks
from cai_kedro.learning.checkpoint_writer import CheckpointWriter
from cai_kedro.learning.checkpoints import SNAPSHOTS, RunFolder, sha256_of
from cai_kedro.learning.finite import FiniteTraining
from cai_kedro.models.weights import put_weights, trained_weights

WEIGHTS = "model.safetensors"
PROGRESS = "progress.json"


class ResumableTraining(FiniteTraining):
    """A mixin to stand before any Hugging Face trainer. A checkpoint is all that decides how the training goes on.

    That is: what is trained, the optimiser, the schedule, the random numbers, the place in the data and the curves, by
    transformers; `snapshots`, the weights along the way by step; and `progress()`, what else a training remembers. It
    is written at a line of the curves, so that no figure is lost between two, or, with `epochs_are_steps`, at the end
    of an epoch. Of several processes the first one writes it, but for the random numbers of each, and all read it.
    """

    epochs_are_steps = False
    folder: RunFolder | None = None
    writer: CheckpointWriter | None = None
    _part: Path | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.snapshots: dict[int, dict[str, Tensor]] = {}

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
            resume_from = ranks.agreed(lambda: folder.newest(self.training_name, most_steps))
            self.writer = CheckpointWriter(self.training_name, folder, resume_from)
            self.add_callback(_Clock(self, self.writer))
        self.train(resume_from_checkpoint=str(resume_from) if resume_from else None)

    # ---- what the Trainer asks for

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """Learn nothing where nothing is left: in the middle of an epoch, transformers would do one more step."""
        if self.state.global_step < self.state.max_steps:
            super()._run_epoch(*args, **kwargs)

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._part or self.args.output_dir)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        assert output_dir is not None
        assert self.model is not None
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        save_file(trained_weights(self.model), Path(output_dir) / WEIGHTS)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write a checkpoint, if the disk takes it; raises `ValueError` where a weight is not finite."""
        assert self.writer is not None
        assert self.model is not None
        check_weights(self.training_name, self.model.named_parameters())
        writer = self.writer

        def fill(place: Path) -> None:
            self._part = place.parent
            if ranks.is_first():
                self._save_snapshots(writer)
            Trainer._save_checkpoint(self, model, trial)  # TRL's adds a model card
            if not ranks.is_first():
                return
            content = {
                "snapshots": sorted(self.snapshots),
                "progress": self.progress(),
                "unlogged": dict(self._unlogged()),
            }
            (place / PROGRESS).write_text(json.dumps(content), encoding="utf-8")

        try:
            writer.write(self.state.global_step, fill)
        finally:
            self._part = None

    def _unlogged(self) -> dict[str, list[float]]:
        """Return the figures behind the last line of the curves, of which TRL writes one more at the end of a training.

        There are some in the checkpoint of the last step alone: all others are written at a line.
        """
        figures: dict[str, list[float]] = getattr(self, "_metrics", {}).get("train", {})
        return figures

    def _save_snapshots(self, writer: CheckpointWriter) -> None:
        for step, weights in self.snapshots.items():
            name = f"{SNAPSHOTS}/{step}.safetensors"
            if name not in writer.shared_files:
                place = writer.folder.path / name
                place.parent.mkdir(exist_ok=True)
                save_file(weights, part_of(place))
                rename_durably(part_of(place), place)
                writer.shared_files[name] = sha256_of(place)

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

    def __init__(self, trainer: ResumableTraining, writer: CheckpointWriter) -> None:
        self.trainer, self.writer = trainer, writer

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        last = state.global_step >= state.max_steps
        if not self.trainer.epochs_are_steps and (control.should_log or last):
            control.should_save = self.writer.is_time(last)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self.trainer.epochs_are_steps:
            control.should_save = self.writer.is_time(state.global_step >= state.max_steps)
