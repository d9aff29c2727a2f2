"""The preference model (PM): one score per answer, trained on soft labels with TRL's RewardTrainer (§4.1)."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import Field
from transformers import AutoModelForSequenceClassification, PreTrainedModel
from trl import RewardConfig, RewardTrainer
from trl.trainer.reward_trainer import DataCollatorForPreference

from cai_kedro.core.asks import Reply
from cai_kedro.core.conversation import Conversation, as_messages
from cai_kedro.core.finite import check_scores
from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.batching import SHAPE_STEP, length_sorted_batches, round_up
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.prompt_ids import refused
from cai_kedro.engines.sampling import context_length
from cai_kedro.engines.score_head import score_config, scored_trunk
from cai_kedro.learning.batching import right_padded
from cai_kedro.learning.checkpoints import RunFolder, run_folder
from cai_kedro.learning.encoding import encode_answers, encode_pairs
from cai_kedro.learning.launch import train_on
from cai_kedro.learning.outcome import Outcome
from cai_kedro.learning.parts import WholeBatches
from cai_kedro.learning.preference_loss import loss_of_first, pairwise_correct, soft_label_term
from cai_kedro.learning.processes import ALONE, Processes
from cai_kedro.learning.resumable import ResumableTraining
from cai_kedro.learning.trainer_run import on_loan, run
from cai_kedro.learning.training_arguments import TrainingParams, attention_for, chunk_tokens, training_flags
from cai_kedro.models.adapters import check_prepared, trained
from datasets import Dataset

logger = logging.getLogger(__name__)

METRICS = ("loss", "accuracy", "margin", "mean_reward", "grad_norm", "learning_rate")


class PreferenceParams(TrainingParams):
    """How to train a PM. `batch_size` counts comparisons of two sequences; any longer than `max_length` is left out.

    `head_std` is the spread of the fresh score head; 0 starts from a PM that prefers nothing.
    """

    head_std: float = Field(ge=0)


class _SoftLabelCollator(DataCollatorForPreference):
    """TRL's collator (A chosen, B rejected) that carries the probability along."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        batch = super().torch_call(examples)
        batch["p_a_better"] = torch.tensor([example["p_a_better"] for example in examples], dtype=torch.float32)
        return batch


class _SoftLabelTrainer(WholeBatches, ResumableTraining, RewardTrainer):
    """RewardTrainer whose loss is the cross-entropy against `p_a_better`, in batches of similar length."""

    training_name = "preference model"
    row_key = "p_a_better"

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        p_a_better, rows = self.counted(inputs.pop("p_a_better"))
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        score_a, score_b = torch.chunk(outputs.logits.squeeze(-1).float(), chunks=2)
        difference = score_a - score_b
        loss = loss_of_first(loss + soft_label_term(difference, p_a_better), difference, p_a_better, rows)
        loss = self.share_of_batch(loss, rows, num_items_in_batch)
        # TRL counts A above B as right and as a margin; a soft label says which way is right
        with torch.no_grad():
            metrics = self._metrics["train" if model.training else "eval"]
            metrics["accuracy"][-1] = self.mean_of_part(pairwise_correct(difference, p_a_better), rows)
            metrics["margin"][-1] = self.mean_of_part(difference * torch.sign(p_a_better - 0.5), rows)
        return (loss, outputs) if return_outputs else loss


def train_preference_model(
    base: LanguageModel, comparisons: pd.DataFrame, params: PreferenceParams, seed: int, processes: Processes = ALONE
) -> tuple[LanguageModel, pd.DataFrame]:
    """Train a PM from the base's trunk on a `comparisons` table; return it and its training curves (`curves`).

    The base stays as it is. Raises `ValueError` without comparisons that fit, for a tokenizer without a pad token of
    its own, or when a number of the training is not finite.
    """
    check_prepared(base)
    seed = derive_seed(seed, "preference model")
    dataset = preference_dataset(base, comparisons, params.max_length)
    scored = replace(base, model=with_score_head(base, params.head_std, seed))
    with run_folder(_SoftLabelTrainer.training_name, params, [base], dataset, seed, processes) as folder:
        outcome = train_on(processes, train_scores, scored, dataset, params, seed, folder)
    return trained(scored), outcome.curves


def train_scores(
    scored: LanguageModel, dataset: Dataset, params: PreferenceParams, seed: int, folder: RunFolder | None
) -> Outcome:
    """Train a model of one score in place on a `preference_dataset`."""
    with on_loan(scored.model, attention_for(params.device)) as scratch:
        trainer = _SoftLabelTrainer(
            model=scored.model,
            args=RewardConfig(output_dir=scratch, max_length=None, **training_flags(params, seed)),
            data_collator=_SoftLabelCollator(scored.tokenizer.pad_token_id, pad_to_multiple_of=SHAPE_STEP),
            train_dataset=dataset,
            processing_class=scored.tokenizer,
        )
        return Outcome(run(trainer, METRICS, folder))


def preference_dataset(base: LanguageModel, comparisons: pd.DataFrame, max_length: int) -> Dataset:
    """Return `chosen_ids` (answer A), `rejected_ids` (answer B), `p_a_better` and `length` of each that fits."""
    if comparisons.empty:
        raise ValueError(
            "there are no comparisons to train a preference model on: expected a non-empty `comparisons` table; "
            "check what made it"
        )
    pairs = encode_pairs(base, comparisons, max_length, "max_length")
    return Dataset.from_dict(
        {
            "chosen_ids": [pair.a.ids for pair in pairs],
            "rejected_ids": [pair.b.ids for pair in pairs],
            "p_a_better": [pair.p_a_better for pair in pairs],
            "length": [pair.length for pair in pairs],
        }
    )


def with_score_head(base: LanguageModel, head_std: float, seed: int) -> PreTrainedModel:
    """Return a model of one score per sequence, with a copy of the base's trunk and a fresh head, on the base's device.

    The base itself then lies on the CPU. Where an adapter is trained, the trunk is not copied: it stays as it is.
    Raises `ValueError` where the base has no pad token of its own, or is of a family that has no such model.
    """
    if base.adapter is None:
        model = AutoModelForSequenceClassification.from_config(score_config(base), dtype=base.model.dtype)
        model.base_model.load_state_dict(base.model.base_model.state_dict())
    else:
        model = scored_trunk(base)
    head = model.score.weight
    with torch.no_grad():
        noise = torch.randn(head.shape, generator=torch.Generator().manual_seed(seed))
        head.copy_(head_std * noise)
    device = base.model.device
    if base.adapter is None:  # a GPU has no room to spare for a trunk that is done
        base.model.to(torch.device("cpu"))  # type: ignore[arg-type]
    return model.to(device).eval()


def score_token_ids(
    model: PreTrainedModel, sequences: Sequence[Sequence[int]], pad_token_id: int, batch_size: int
) -> torch.Tensor:
    """Return the PM's score of each token sequence, in log-odds units: (n,) float32, on the CPU.

    A sequence is BOS, prompt, answer and EOS, unpadded; its score is read at its last token. The order of the
    sequences and what else is in the batch do not matter. Raises `ValueError` for scores that are not finite.
    """
    if model.config.pad_token_id != pad_token_id:
        raise ValueError(
            f"the preference model was trained with pad_token_id={model.config.pad_token_id}, not {pad_token_id}; "
            "score with the tokenizer that was saved with it"
        )
    was_training = model.training
    model.eval()
    scores = torch.empty(len(sequences), dtype=torch.float32)
    lengths = [len(sequence) for sequence in sequences]
    with torch.no_grad():
        for rows in _batches(lengths, batch_size, chunk_tokens(model.device.type)):
            ids = right_padded([sequences[row] for row in rows], pad_token_id).to(model.device)
            # padding stands to the right of causal attention, so the scores need no mask
            scores[rows] = model(input_ids=ids, use_cache=False).logits.squeeze(-1).float().cpu()
    model.train(was_training)
    check_scores("the model of scores", scores)
    return scores


def _batches(lengths: Sequence[int], batch_size: int, max_tokens: int) -> Iterator[list[int]]:
    """Yield the rows in batches of like length, at most so many rows and padded tokens."""
    for batch in length_sorted_batches([round_up(length) for length in lengths], max_tokens):
        for start in range(0, len(batch), batch_size):
            yield batch[start : start + batch_size]


def check_preference_model(preference_model: LanguageModel) -> None:
    """Raise `ValueError` unless it gives one score a sequence and can read all that its tokenizer writes."""
    model, tokenizer = preference_model.model, preference_model.tokenizer
    if not hasattr(model, "score") or model.config.num_labels != 1:
        raise ValueError(
            f"{type(model).__name__} with num_labels={model.config.num_labels} is no preference model; expected a "
            f"…ForSequenceClassification with one score"
        )
    reads = model.get_input_embeddings().weight.shape[0]  # type: ignore[index]
    writes = max(tokenizer.get_vocab().values()) + 1
    if writes > reads or model.config.pad_token_id != tokenizer.pad_token_id:
        raise ValueError(
            f"the tokenizer is another model's: it writes ids below {writes} and pads with {tokenizer.pad_token_id}, "
            f"the preference model reads ids below {reads} and pads with {model.config.pad_token_id}; put the "
            f"tokenizer that it was trained with into its directory"
        )


def score_responses(
    preference_model: LanguageModel, conversations: Sequence[Conversation], responses: Sequence[str], batch_size: int
) -> np.ndarray:
    """Return the PM's score of each response to its conversation, in log-odds units: (n,).

    NaN, with one warning, for those that are longer than the PM's context, and for what its chat template refuses.
    """
    tokenizer = preference_model.tokenizer
    turned_away = refused(preference_model.layout, [Reply(each) for each in conversations])
    asked = [row for row in range(len(responses)) if row not in turned_away]
    encoded = encode_answers(preference_model, [conversations[row] for row in asked], [responses[row] for row in asked])
    sequences: list[list[int]] = [[] for _ in responses]
    for row, answer in zip(asked, encoded, strict=True):
        sequences[row] = answer.ids
    limit = context_length(preference_model.model)
    fits = np.array([bool(ids) and (limit is None or len(ids) <= limit) for ids in sequences], dtype=bool)
    if not fits.all():
        logger.warning(
            "%d of %d answers are longer, with their conversation, than the %s tokens that the preference model reads, "
            "or are refused by its chat template: they get no score",
            (~fits).sum(),
            len(fits),
            limit,
        )
    scores = np.full(len(sequences), np.nan, dtype=np.float32)
    kept = [ids for ids, fit in zip(sequences, fits, strict=True) if fit]
    scores[fits] = score_token_ids(preference_model.model, kept, tokenizer.pad_token_id, batch_size).numpy()
    return scores


def preference_accuracy(preference_model: LanguageModel, comparisons: pd.DataFrame, batch_size: int) -> np.ndarray:
    """Return per comparison 1 where the PM agrees with the label, 0 where not, 0.5 where either prefers none: (n,).

    NaN where an answer is longer than the PM's context.
    """
    conversations = [as_messages(cell) for cell in comparisons["messages"]]
    score_a, score_b = (
        torch.from_numpy(score_responses(preference_model, conversations, list(comparisons[column]), batch_size))
        for column in ("response_a", "response_b")
    )
    labels = torch.from_numpy(comparisons["p_a_better"].to_numpy(dtype=np.float64, copy=True))
    difference = (score_a - score_b).double()
    return pairwise_correct(difference, labels).masked_fill(difference.isnan(), torch.nan).numpy()
