"""A referee that learned from comparisons of people which a run itself never learns from."""

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from kedro.io import DatasetError
from kedro.utils import find_kedro_project
from pydantic import ValidationError

from cai_kedro.core.conversation import as_messages, render
from cai_kedro.core.durable import part_of, remove, rename_durably
from cai_kedro.core.held_out import is_held_out, written_alike
from cai_kedro.core.lock import locked
from cai_kedro.datasets.entry_faults import entry_faults
from cai_kedro.datasets.recorded_raters import RecordedRaters
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import load_language_model, save_language_model
from cai_kedro.engines.model_reference import ModelReference
from cai_kedro.engines.weight_files import weights_digest
from cai_kedro.learning.checkpoints import remove_finished
from cai_kedro.learning.preference import (
    PreferenceParams,
    preference_accuracy,
    score_responses,
    train_preference_model,
)
from cai_kedro.metrics.estimate import Estimate, bounded_mean

logger = logging.getLogger(__name__)

#: How the preference model is trained, where the entry says nothing else; for models of a real language.
TRAINING: Mapping[str, Any] = {
    "device": "auto",
    "dtype": "auto",
    "epochs": 1,
    "batch_size": 32,
    "device_batch_size": 4,
    "learning_rate": 1.0e-5,
    "warmup_steps": 10,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "max_length": 1024,
    "log_every": 10,
    "head_std": 0.0,
}
#: How many seconds of its training an interruption costs, about.
CHECKPOINT_SECONDS = 60
_ACCURACY = "held_out_accuracy.json"
_AT_ONCE = 8
_COIN = 0.5


class HumanPreferenceReferee:
    """A preference model for each axis, trained on human comparisons when it is first asked, and then kept.

    The answer with the higher score wins. A part of the comparisons is held out, by the first human turn; how often the
    model is right there says how much its verdict is worth. It must have learned from nothing that the run learns from:
    the checks before a run refuse comparisons whose conversations stand there too.
    """

    def __init__(
        self,
        *,
        comparisons: Mapping[str, Any],
        base: Mapping[str, Any],
        folder: str | os.PathLike[str],
        training: Mapping[str, Any] | None = None,
        held_out_share: float = 0.2,
        seed: int = 0,
    ) -> None:
        """Reads the comparisons; raises `DatasetError` that names file, row and fault. Nothing is trained yet.

        Args:
            comparisons: the settings of `RecordedRaters`: a file, several, or a data set of the hub.
            base: the model that it starts from, `path`, or `repo` and `revision`.
            folder: where trained models are kept. Other comparisons, another base or another training is another model.
            training: fields of `PreferenceParams` that are not as in `TRAINING`.
            held_out_share: which share of the comparisons its accuracy is measured on.
            seed: of the training.
        """
        if not 0 < held_out_share < 1:
            raise DatasetError(f"held_out_share must lie between 0 and 1, got {held_out_share}")
        self._share, self._seed = held_out_share, seed
        project = find_kedro_project(Path.cwd()) or Path.cwd()
        self._folder = project / folder
        self._checkpoints = self._folder / "checkpoints"
        self._params = _params(training or {}, self._checkpoints)
        self._base = ModelReference(**base).at(project)
        self._base_directory = self._base.directory()
        raters = RecordedRaters(**comparisons)
        self.path, self.comparisons = raters.path, raters.comparisons
        for axis, of_axis in self.comparisons.groupby("objective"):
            self._check_parts(str(axis), of_axis)

    def digest(self) -> None:
        """Return None: what it became in training is no model of the run."""

    def conversations(self) -> set[tuple[tuple[str, str], ...]]:
        """Return the conversations that it learns from, written alike."""
        return {written_alike(as_messages(cell)) for cell in self.comparisons["messages"]}

    def accuracy(self) -> dict[str, Estimate]:
        """Return, per axis, on which share of the held-out comparisons it agrees with people; trains it first."""
        return {axis: self._trained(axis)[1] for axis in self._axes}

    def decide(self, meetings: pd.DataFrame, seed: int) -> np.ndarray:
        """Return 1 where A has the higher score, 0 where B, 0.5 where both are equal: (n,). Nothing is drawn.

        NaN where an answer is longer than the model's context, and on an axis that people did not compare by.
        """
        outcome = np.full(len(meetings), np.nan)
        for axis in sorted(set(meetings["criterion"])):
            rows = np.flatnonzero((meetings["criterion"] == axis).to_numpy())
            if axis not in self._axes:
                logger.warning(
                    "%s has no comparison by %s: %d head-to-heads are left out, there is no Elo on that axis",
                    self.path,
                    axis,
                    len(rows),
                )
                continue
            outcome[rows] = self._decide(self._trained(axis)[0], meetings.iloc[rows])
        return outcome

    def _decide(self, directory: Path, meetings: pd.DataFrame) -> np.ndarray:
        model = self._on_device(load_language_model(directory))
        conversations = [as_messages(cell) for cell in meetings["messages"]]
        score_a, score_b = (
            score_responses(model, conversations, meetings[column].tolist(), _AT_ONCE)
            for column in ("response_a", "response_b")
        )
        return (np.sign(score_a - score_b) + 1) / 2

    @cached_property
    def _axes(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.comparisons["objective"])))

    def _trained(self, axis: str) -> tuple[Path, Estimate]:
        """Return where the model of an axis lies and its held-out accuracy; trains it unless it is there."""
        comparisons = self.comparisons[self.comparisons["objective"] == axis].reset_index(drop=True)
        place = self._folder / f"{axis}-{self._key(comparisons)}"
        with locked(place.with_suffix(".lock"), f"the referee in {place}"):
            if not (place / _ACCURACY).is_file():
                self._train(axis, comparisons, place)
        accuracy: Estimate = json.loads((place / _ACCURACY).read_text(encoding="utf-8"))
        return place, accuracy

    def _train(self, axis: str, comparisons: pd.DataFrame, place: Path) -> None:
        held_out = self._held_out(comparisons)
        model, _ = train_preference_model(
            self._on_device(self._base.load()), comparisons[~held_out].reset_index(drop=True), self._params, self._seed
        )
        accuracy = _accuracy(axis, self._on_device(model), comparisons[held_out].reset_index(drop=True))
        part = part_of(place)
        remove(part)
        save_language_model(model, part)
        (part / _ACCURACY).write_text(json.dumps(accuracy, indent=2) + "\n", encoding="utf-8")
        rename_durably(part, place)
        remove_finished([self._checkpoints])

    def _on_device(self, model: LanguageModel) -> LanguageModel:
        model.model.to(self._params.device)  # type: ignore[arg-type]
        return model

    def _held_out(self, comparisons: pd.DataFrame) -> np.ndarray:
        return np.array([is_held_out(as_messages(cell), self._share) for cell in comparisons["messages"]], dtype=bool)

    def _check_parts(self, axis: str, comparisons: pd.DataFrame) -> None:
        held_out = self._held_out(comparisons)
        if held_out.all() or not held_out.any():
            raise DatasetError(
                f"{self.path}: of {len(comparisons)} comparisons by {axis}, {held_out.sum()} are held out and "
                f"{(~held_out).sum()} are left to learn from; give more, or another held_out_share than {self._share:g}"
            )

    def _key(self, comparisons: pd.DataFrame) -> str:
        """Return a digest of all that decides what is learned."""
        rows = [
            (render(as_messages(row.messages)), row.response_a, row.response_b, row.p_a_better)
            for row in comparisons.itertuples()
        ]
        decided_by = [
            *(weights_digest(self._base_directory), self._params.model_dump(mode="json", exclude={"checkpoints"})),
            *(self._share, self._seed, rows),
        ]
        return hashlib.sha256(json.dumps(decided_by, sort_keys=True).encode()).hexdigest()[:16]


def _params(training: Mapping[str, Any], checkpoints: Path) -> PreferenceParams:
    where = {"directory": str(checkpoints), "seconds": CHECKPOINT_SECONDS}
    try:
        return PreferenceParams.model_validate({**TRAINING, "checkpoints": where, **training})
    except ValidationError as error:
        raise DatasetError(f"the referee's training: {entry_faults(error)}; correct the entry") from None


def _accuracy(axis: str, model: LanguageModel, held_out: pd.DataFrame) -> Estimate:
    """Measure on which share of the held-out comparisons the model agrees; those beyond its context are left out."""
    correct = preference_accuracy(model, held_out, _AT_ONCE)
    fits = ~np.isnan(correct)
    if not fits.any():
        raise DatasetError(
            f"none of the {len(held_out)} held-out comparisons by {axis} fits into the context of the referee's base; "
            f"take another base or shorter comparisons"
        )
    prompts = [str(written_alike(as_messages(cell))) for cell in held_out["messages"][fits]]
    accuracy = bounded_mean(correct[fits], 0, 1, prompts)
    low = accuracy["low"]
    logger.info("the referee agrees with people on %.3f of %d held-out comparisons", accuracy["value"], accuracy["n"])
    if low is None or low <= _COIN:
        logger.warning(
            "the referee is not known to be better than a coin by %s: it agrees with people on %.2f of %d held-out "
            "comparisons, 95 %% interval from %.2f; Elo by it says nothing. Give more comparisons or another base",
            axis,
            accuracy["value"],
            accuracy["n"],
            low if low is not None else 0.0,
        )
    return accuracy
