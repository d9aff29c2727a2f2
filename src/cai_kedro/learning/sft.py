"""Supervised fine-tuning on conversations and answers (SL-CAI, §3.1) with TRL, loss on the answers only."""

import logging

import pandas as pd
from trl import SFTConfig, SFTTrainer

from cai_kedro.core.conversation import as_messages
from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.batching import SHAPE_STEP
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.checkpoints import RunFolder, run_folder
from cai_kedro.learning.encoding import EncodedAnswer, encode_answers
from cai_kedro.learning.launch import train_on
from cai_kedro.learning.outcome import Outcome
from cai_kedro.learning.parts import WholeBatches
from cai_kedro.learning.processes import ALONE, Processes
from cai_kedro.learning.resumable import ResumableTraining
from cai_kedro.learning.trainer_run import on_loan, run
from cai_kedro.learning.training_arguments import TrainingParams, attention_for, training_flags
from cai_kedro.models.adapters import check_prepared, trained
from datasets import Dataset

logger = logging.getLogger(__name__)

IGNORED = -100  # a label that no loss is taken on
METRICS = ("loss", "mean_token_accuracy", "entropy", "grad_norm", "learning_rate")


class SFTParams(TrainingParams):
    """How to fine-tune. Rows longer than `max_length` are left out: cut answers would teach not to end."""


class _AnswerTrainer(WholeBatches, ResumableTraining, SFTTrainer):
    """SFTTrainer on rows tokenised beforehand, in batches of similar length."""

    training_name = "fine-tuning"


def fine_tune(
    base: LanguageModel, rows: pd.DataFrame, params: SFTParams, seed: int, processes: Processes = ALONE
) -> tuple[LanguageModel, pd.DataFrame]:
    """Fine-tune on a `rows` table; return the model and its training curves (`curves`).

    The base's weights change in place: it is the fresh object that the catalog gave, and a second copy of a large
    model has no room. Raises `ValueError` when no row is left to train on, or when a number of the training is not
    finite.
    """
    check_prepared(base)
    seed = derive_seed(seed, "sft")
    dataset = sft_dataset(base, rows, params.max_length)
    with run_folder(_AnswerTrainer.training_name, params, [base], dataset, seed, processes) as folder:
        outcome = train_on(processes, train_sft, base, dataset, params, seed, folder)
    return trained(base), outcome.curves


def train_sft(base: LanguageModel, dataset: Dataset, params: SFTParams, seed: int, folder: RunFolder | None) -> Outcome:
    """Fine-tune the model in place on an `sft_dataset`."""
    with on_loan(base.model, attention_for(params.device)) as scratch:
        trainer = _AnswerTrainer(
            model=base.model,
            args=SFTConfig(
                output_dir=scratch,
                # ours is tokenised and masked already; TRL's own preparation takes longer than the training
                dataset_kwargs={"skip_prepare_dataset": True},
                pad_to_multiple_of=SHAPE_STEP,
                **training_flags(params, seed),
            ),
            train_dataset=dataset,
            processing_class=base.tokenizer,
        )
        return Outcome(run(trainer, METRICS, folder))


def sft_dataset(base: LanguageModel, rows: pd.DataFrame, max_length: int) -> Dataset:
    """Return `input_ids`, `labels` (only the answer's ids are labels) and `length` of each row that fits."""
    if rows.empty:
        raise ValueError("there are no rows to fine-tune on: expected a non-empty `rows` table; check what made it")
    encoded = encode_answers(base, [as_messages(cell) for cell in rows["messages"]], list(rows["response"]))
    kept = [answer for answer in encoded if len(answer.ids) <= max_length]
    if not kept:
        shortest = min(len(answer.ids) for answer in encoded)
        raise ValueError(
            f"all {len(encoded)} rows are longer than max_length={max_length} tokens (the shortest has {shortest}); "
            "raise max_length"
        )
    if len(kept) < len(encoded):
        logger.warning(
            "%d of %d rows are longer than %d tokens: left out", len(encoded) - len(kept), len(encoded), max_length
        )
    return Dataset.from_dict(
        {
            "input_ids": [answer.ids for answer in kept],
            "labels": [_labels(answer) for answer in kept],
            "length": [len(answer.ids) for answer in kept],
        }
    )


def _labels(answer: EncodedAnswer) -> list[int]:
    return [IGNORED] * len(answer.prompt) + answer.completion
