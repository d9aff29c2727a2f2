"""Teaching lessons: asks of every kind, each with what is to be written. Loss on the answers only, by weight."""

from collections import defaultdict
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from pydantic import Field
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cai_kedro.core.finite import check_weights
from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.batching import right_padded
from cai_kedro.learning.checkpoints import RunFolder, run_folder
from cai_kedro.learning.lean_adapters import lean_adapters
from cai_kedro.learning.lesson_rows import LETTER, WORD, lesson_dataset
from cai_kedro.learning.outcome import Outcome
from cai_kedro.learning.parts import WholeBatches
from cai_kedro.learning.resumable import ResumableTraining
from cai_kedro.learning.trainer_run import on_loan, run
from cai_kedro.learning.training_arguments import TrainingParams, attention_for, training_flags
from cai_kedro.learning.value_head import reply_logprobs
from cai_kedro.models.adapters import check_prepared, copy_with, trained
from cai_kedro.models.weights import trained_weights
from datasets import Dataset

METRICS = ("loss", "letter_loss", "word_loss", "text_loss", "grad_norm", "learning_rate")


class LessonParams(TrainingParams):
    """How to teach. Lessons of more than `max_length` tokens are left out.

    A token that decides (a letter, the kind of a harm, a verdict, whether a revision keeps the reply) counts
    `deciding_weight` times as much as the others: a lesson has one to three of it, and up to a hundred of the others.
    The weights every `snapshot_every` steps are kept to measure skills with.
    """

    deciding_weight: float = Field(gt=0)
    snapshot_every: int = Field(ge=1)


@dataclass(frozen=True)
class Taught:
    """The model, its curves, and the models along the way by step, the last step among them."""

    model: LanguageModel
    curves: pd.DataFrame
    snapshots: dict[int, LanguageModel]


def teach(base: LanguageModel, lessons: pd.DataFrame, params: LessonParams, seed: int) -> Taught:
    """Train on a `lessons` table, in place: whole, or the adapter that `models.adapters.prepared` put on the base.

    Raises `ValueError` for a lesson that cannot be read, where none is left to learn from, and when a number of the
    training is not finite.
    """
    check_prepared(base)
    seed = derive_seed(seed, "lessons")
    dataset = lesson_dataset(base, lessons, params.max_length)
    with run_folder(_LessonTrainer.training_name, params, [base], dataset, seed) as folder:
        outcome = train_on_lessons(base, dataset, params, seed, folder)
    last = max(outcome.snapshots)
    snapshots = {
        step: trained(base) if step == last else copy_with(base, weights) for step, weights in outcome.snapshots.items()
    }
    return Taught(trained(base), outcome.curves, snapshots)


def train_on_lessons(
    base: LanguageModel, dataset: Dataset, params: LessonParams, seed: int, folder: RunFolder | None
) -> Outcome:
    """Train the model in place on a `lesson_dataset`."""
    lean = lean_adapters(base.model) if params.device == "cpu" else nullcontext()
    with on_loan(base.model, attention_for(params.device)) as scratch, lean:
        trainer = _LessonTrainer(
            model=base.model,
            args=TrainingArguments(output_dir=scratch, **training_flags(params, seed)),
            data_collator=_collate(base.tokenizer.pad_token_id or 0),
            train_dataset=dataset,
        )
        trainer.deciding_weight = params.deciding_weight
        trainer.add_callback(_Snapshots(trainer, params.snapshot_every))
        return Outcome(run(trainer, METRICS, folder), trainer.snapshots)


class _LessonTrainer(WholeBatches, ResumableTraining, Trainer):
    """Batches of similar length; the loss is the mean over the weights of the whole batch's answers."""

    training_name = "lessons"
    deciding_weight = 1.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Figures since the last line of the curves (`ResumableTraining`).
        self._metrics: dict[str, defaultdict[str, list[float]]] = {"train": defaultdict(list)}

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        decides = inputs.pop("decides")
        weights = inputs["mask"] + (self.deciding_weight - 1) * (decides > 0)
        with torch.autocast(decides.device.type, torch.bfloat16, enabled=self.args.bf16):
            logprobs = reply_logprobs(self.accelerator.unwrap_model(model), **inputs, temperature=1.0)
        weighed = -(logprobs.float() * weights)
        self._note(-logprobs.detach().float(), inputs["mask"].bool(), decides)
        loss = weighed.sum() / (weights.sum() if num_items_in_batch is None else num_items_in_batch)
        return (loss, logprobs) if return_outputs else loss

    def _note(self, losses: Tensor, answers: Tensor, decides: Tensor) -> None:
        """Keep the mean loss of letters, that of words that decide and that of the rest apart: the rest hides them."""
        of_a_letter, of_a_word = decides == LETTER, decides == WORD
        rest = answers & (decides == 0)
        for name, of in (("letter_loss", of_a_letter), ("word_loss", of_a_word), ("text_loss", rest)):
            if of.any():
                self._metrics["train"][name].append(losses[of].mean().item())

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the figures since the last line."""
        noted = self._metrics["train"]
        logs |= {name: sum(values) / len(values) for name, values in noted.items() if values}
        super().log(logs, start_time)
        noted.clear()

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        self.loss_is_scaled_for_ga = True
        more = self.deciding_weight - 1
        return sum(float(part["mask"].sum() + more * (part["decides"] > 0).sum()) for part in batch_samples)


class _Snapshots(TrainerCallback):
    """Keeps the weights every k steps and behind the last one, and has the last step in the curves."""

    def __init__(self, trainer: _LessonTrainer, every: int) -> None:
        self.trainer, self.every = trainer, every

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        last = state.global_step == state.max_steps
        if last or state.global_step % self.every == 0:
            model = self.trainer.model
            assert model is not None  # its type allows a trainer without one
            check_weights(self.trainer.training_name, model.named_parameters())
            self.trainer.snapshots[state.global_step] = trained_weights(model)
        control.should_log = control.should_log or last


def _collate(pad: int) -> Any:
    def collate(rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        answers = [row["input_ids"][row["start"] :] for row in rows]
        return {
            "input_ids": right_padded([row["input_ids"] for row in rows], pad),
            "starts": torch.tensor([row["start"] for row in rows]),
            "reply_ids": right_padded(answers, pad),
            "mask": right_padded([[1] * len(answer) for answer in answers], 0),
            "decides": right_padded([row["decides"] for row in rows], 0),
        }

    return collate
