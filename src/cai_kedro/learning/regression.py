"""A model of one number per answer, trained with squared error: the absolute harmfulness score of §4.5 (F10)."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import Trainer, TrainingArguments

from cai_kedro.core.conversation import as_messages
from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.batching import right_padded
from cai_kedro.learning.checkpoints import RunFolder, run_folder
from cai_kedro.learning.encoding import encode_answers, without_refused
from cai_kedro.learning.launch import train_on
from cai_kedro.learning.outcome import Outcome
from cai_kedro.learning.parts import WholeBatches
from cai_kedro.learning.preference import with_score_head
from cai_kedro.learning.processes import ALONE, Processes
from cai_kedro.learning.resumable import ResumableTraining
from cai_kedro.learning.trainer_run import on_loan, run
from cai_kedro.learning.training_arguments import TrainingParams, attention_for, training_flags
from cai_kedro.models.adapters import check_prepared, trained
from datasets import Dataset

logger = logging.getLogger(__name__)


class _SquaredErrorTrainer(WholeBatches, ResumableTraining, Trainer):
    """Batches of similar length; the model's own loss would need its `problem_type` in the saved config."""

    training_name = "harmfulness model"
    row_key = "target"

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        outputs = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False)
        target, rows = self.counted(inputs["target"])
        errors = (outputs.logits.squeeze(-1).float() - target) ** 2
        loss = errors.mean() if rows == len(target) else errors[:rows].sum() / max(rows, 1)
        loss = self.share_of_batch(loss, rows, num_items_in_batch)
        return (loss, outputs) if return_outputs else loss


def train_regression(
    base: LanguageModel, rated: pd.DataFrame, params: TrainingParams, seed: int, processes: Processes = ALONE
) -> LanguageModel:
    """Train a head and a copy of the base on `messages`, `response` and `rating` (n rows): mean squared error.

    The base stays as it is. What the model learns is the difference to the mean rating; add that when scoring. Raises
    `ValueError` where no row fits into `max_length` tokens, or when a number of the training is not finite.
    """
    check_prepared(base)
    seed = derive_seed(seed, "regression")
    rated = without_refused(base, rated)
    answers = encode_answers(base, [as_messages(cell) for cell in rated["messages"]], list(rated["response"]))
    targets = (rated["rating"] - rated["rating"].mean()).tolist()
    kept = [
        (answer.ids, target)
        for answer, target in zip(answers, targets, strict=True)
        if len(answer.ids) <= params.max_length
    ]
    if not kept:
        raise ValueError(
            f"none of {len(answers)} rated conversations has at most max_length={params.max_length} tokens; raise "
            "it, or give ratings"
        )
    if len(kept) < len(answers):
        left_out = len(answers) - len(kept)
        logger.warning(
            "%d of %d rated conversations are longer than %d tokens: left out",
            left_out,
            len(answers),
            params.max_length,
        )
    dataset = Dataset.from_dict(
        {"ids": [ids for ids, _ in kept], "target": [t for _, t in kept], "length": [len(ids) for ids, _ in kept]}
    )
    scored = replace(base, model=with_score_head(base, 0.0, seed))
    with run_folder(_SquaredErrorTrainer.training_name, params, [base], dataset, seed, processes) as folder:
        train_on(processes, train_numbers, scored, dataset, params, seed, folder)
    return trained(scored)


def train_numbers(
    scored: LanguageModel, dataset: Dataset, params: TrainingParams, seed: int, folder: RunFolder | None
) -> Outcome:
    """Train a model of one score in place on `ids`, `target` and `length`."""
    with on_loan(scored.model, attention_for(params.device)) as scratch:
        trainer = _SquaredErrorTrainer(
            model=scored.model,
            args=TrainingArguments(output_dir=scratch, **training_flags(params, seed)),
            data_collator=_collate(scored.tokenizer.pad_token_id),
            train_dataset=dataset,
        )
        return Outcome(run(trainer, (), folder))


def squared_error(predicted: Sequence[float], rating: Sequence[float]) -> np.ndarray:
    """Return the squared error of each prediction: (n,)."""
    return (np.asarray(predicted, dtype=float) - np.asarray(rating, dtype=float)) ** 2


def _collate(pad_token_id: int) -> Any:
    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        ids = [row["ids"] for row in rows]
        return {
            "input_ids": right_padded(ids, pad_token_id),
            "attention_mask": right_padded([[1] * len(one) for one in ids], 0),
            "target": torch.tensor([row["target"] for row in rows], dtype=torch.float32),
        }

    return collate
