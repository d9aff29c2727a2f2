"""TRL's DPO trainer with soft labels and batches by length."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import DPOConfig, DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference

from cai_kedro.core.finite import check_weights
from cai_kedro.engines.batching import SHAPE_STEP
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning import ranks
from cai_kedro.learning.checkpoints import RunFolder
from cai_kedro.learning.outcome import Outcome
from cai_kedro.learning.parts import WholeBatches
from cai_kedro.learning.preference_loss import loss_of_first, pairwise_correct, soft_label_term
from cai_kedro.learning.resumable import ResumableTraining
from cai_kedro.learning.rl.dpo import DPOParams
from cai_kedro.learning.trainer_run import on_loan, run
from cai_kedro.learning.training_arguments import attention_for, training_flags
from cai_kedro.models.weights import trained_weights
from datasets import Dataset

METRICS = ("loss", "margin", "accuracy", "entropy", "grad_norm", "learning_rate")


class _SoftLabelCollator(DataCollatorForPreference):
    """TRL's collator that carries the probability along."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        batch = super().torch_call(examples)
        batch["p_a_better"] = torch.tensor([example["p_a_better"] for example in examples], dtype=torch.float32)
        return batch


class _Noted:
    """A model that notes the log-probabilities it gave last."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.log_probs = torch.empty(0)

    def __call__(self, **inputs: Any) -> Any:
        outputs = self.model(**inputs)
        self.log_probs = outputs.log_probs
        return outputs


class _SoftDPOTrainer(WholeBatches, ResumableTraining, DPOTrainer):
    """DPOTrainer on rows tokenised beforehand, whose loss weighs both directions of a pair by their probability."""

    training_name = "DPO"
    row_key = "p_a_better"

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset  # TRL's own preparation would write another layout

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        """Have the start policy read all pairs; TRL would keep that in a cache of files."""
        assert self.model is not None
        self.model.to(self.accelerator.device)
        own: dict[int, tuple[Tensor, ...]] = {}
        for number, batch in enumerate(_batches(dataset, batch_size)):
            if number % ranks.world() != ranks.rank():
                continue
            inputs = self.data_collator(batch)
            inputs.pop("p_a_better")
            placed = {key: value.to(self.accelerator.device) for key, value in inputs.items()}
            own[number] = tuple(part.float().cpu() for part in self.compute_ref_log_probs(self.model, placed))
        found = ranks.merged(own).values()
        chosen, rejected = (torch.cat(parts).tolist() for parts in zip(*found, strict=True))
        return dataset.add_column("ref_chosen_logps", chosen).add_column("ref_rejected_logps", rejected)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return -p log σ(βδ) - (1 - p) log σ(-βδ), where δ is how far A is ahead of B, against the start policy."""
        p_a_better, rows = self.counted(inputs.pop("p_a_better"))
        noted = _Noted(model)
        loss = super().compute_loss(noted, inputs, False, num_items_in_batch)
        ahead = noted.log_probs[:, -(inputs["input_ids"].shape[1] - 1) :].float().sum(1)
        a, b = ahead.chunk(2)
        difference = self.beta * ((a - inputs["ref_chosen_logps"]) - (b - inputs["ref_rejected_logps"]))
        loss = loss_of_first(loss + soft_label_term(difference, p_a_better), difference, p_a_better, rows)
        loss = self.share_of_batch(loss, rows, num_items_in_batch)
        with torch.no_grad():  # TRL counts A above B as right; a soft label says which way is right
            metrics = self._metrics["train" if model.training else "eval"]
            metrics["accuracy"].append(self.mean_of_part(pairwise_correct(difference, p_a_better), rows))
            metrics["margin"].append(self.mean_of_part(difference * torch.sign(p_a_better - 0.5), rows))
        return loss


def _batches(dataset: Dataset, size: int) -> Iterator[list[dict[str, Any]]]:
    for begin in range(0, len(dataset), size):
        yield [dataset[row] for row in range(begin, min(begin + size, len(dataset)))]


def train_with_dpo(
    start: LanguageModel, dataset: Dataset, params: DPOParams, seed: int, folder: RunFolder | None
) -> Outcome:
    """Train the policy in place on a `dpo_dataset`; its weights every k steps are the snapshots."""
    flags = training_flags(params, seed) | {"activation_checkpointing": False}
    with on_loan(start.model, attention_for(params.device)) as scratch:
        config = DPOConfig(
            output_dir=scratch,
            beta=params.beta,
            max_length=None,
            precompute_ref_log_probs=True,  # the start policy need not stay in memory
            **flags,
        )
        trainer = _SoftDPOTrainer(
            model=start.model,
            args=config,
            data_collator=_SoftLabelCollator(start.tokenizer.pad_token_id, pad_to_multiple_of=SHAPE_STEP),
            train_dataset=dataset,
            processing_class=start.tokenizer,
        )
        trainer.add_callback(_Snapshots(trainer, params.snapshot_every))
        return Outcome(run(trainer, METRICS, folder), trainer.snapshots)


class _Snapshots(TrainerCallback):
    """Keeps the weights every k steps, and has the last step in the curves."""

    def __init__(self, trainer: _SoftDPOTrainer, every: int) -> None:
        self.trainer, self.every = trainer, every

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        model = self.trainer.model
        if state.global_step % self.every == 0:
            assert model is not None  # its type allows a trainer without one
            check_weights("DPO", model.named_parameters())
            self.trainer.snapshots[state.global_step] = trained_weights(model)
        control.should_log = control.should_log or state.global_step == state.max_steps
