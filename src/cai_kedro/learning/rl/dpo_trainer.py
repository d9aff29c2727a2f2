"""TRL's DPO trainer with soft labels, batches by length and checkpoints."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import Sampler
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import DPOConfig, DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference

from cai_kedro.core.finite import check_weights
from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.batching import SHAPE_STEP
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.batching import LengthGrouped
from cai_kedro.learning.finite import FiniteTraining
from cai_kedro.learning.preference_loss import pairwise_correct, soft_label_term
from cai_kedro.learning.rl.checkpoints import (
    SNAPSHOTS,
    load_snapshots,
    newest_checkpoint,
    save_weights,
    seal,
)
from cai_kedro.learning.rl.dpo import DPOParams
from cai_kedro.learning.trainer_run import run
from cai_kedro.learning.training_arguments import training_flags
from cai_kedro.models.weights import trained_weights
from datasets import Dataset

logger = logging.getLogger(__name__)

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


class _EpochGrouped(LengthGrouped):
    """Draws each epoch by its number, so that a run which goes on draws what it would have drawn."""

    def set_epoch(self, epoch: int) -> None:
        self.generator.manual_seed(derive_seed(self.seed, "epoch", epoch))

    def __init__(self, lengths: list[int], batch_size: int, seed: int) -> None:
        super().__init__(lengths, batch_size, seed)
        self.seed = seed
        self.set_epoch(0)


class _SoftDPOTrainer(FiniteTraining, DPOTrainer):
    """DPOTrainer on rows tokenised beforehand, whose loss weighs both directions of a pair by their probability."""

    training_name = "DPO"

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        return dataset  # TRL's own preparation would write another layout

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        """Have the start policy read all pairs; TRL would keep that in a cache of files."""
        assert self.model is not None
        self.model.to(self.accelerator.device)
        found: list[tuple[Tensor, Tensor]] = []
        for batch in _batches(dataset, batch_size):
            inputs = self.data_collator(batch)
            inputs.pop("p_a_better")
            placed = {key: value.to(self.accelerator.device) for key, value in inputs.items()}
            found.append(self.compute_ref_log_probs(self.model, placed))
        chosen, rejected = (torch.cat(parts).float().cpu().tolist() for parts in zip(*found, strict=True))
        return dataset.add_column("ref_chosen_logps", chosen).add_column("ref_rejected_logps", rejected)

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler[int]:
        rows = cast(Dataset, train_dataset or self.train_dataset)
        return _EpochGrouped(rows["length"][:], self.args.train_batch_size, self.args.seed)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return -p log σ(βδ) - (1 - p) log σ(-βδ), where δ is how far A is ahead of B, against the start policy."""
        p_a_better = inputs.pop("p_a_better")
        noted = _Noted(model)
        loss = super().compute_loss(noted, inputs, False, num_items_in_batch)
        ahead = noted.log_probs[:, -(inputs["input_ids"].shape[1] - 1) :].float().sum(1)
        a, b = ahead.chunk(2)
        difference = self.beta * ((a - inputs["ref_chosen_logps"]) - (b - inputs["ref_rejected_logps"]))
        loss = loss + soft_label_term(difference, p_a_better)
        with torch.no_grad():  # TRL counts A above B as right; a soft label says which way is right
            metrics = self._metrics["train" if model.training else "eval"]
            metrics["accuracy"].append(pairwise_correct(difference, p_a_better).mean().item())
            metrics["margin"].append((difference * torch.sign(p_a_better - 0.5)).mean().item())
        return loss


def _batches(dataset: Dataset, size: int) -> Iterator[list[dict[str, Any]]]:
    for begin in range(0, len(dataset), size):
        yield [dataset[row] for row in range(begin, min(begin + size, len(dataset)))]


def train_with_dpo(
    start: LanguageModel, dataset: Dataset, params: DPOParams, seed: int, run_dir: Path | None, scratch: str
) -> tuple[pd.DataFrame, dict[int, dict[str, Tensor]]]:
    """Train the policy in place on a `dpo_dataset`; return its curves, and its weights every k steps on the CPU.

    With a `run_dir` from its newest checkpoint, if there is one.
    """
    flags = training_flags(params, seed) | {"activation_checkpointing": False}
    config = DPOConfig(
        output_dir=str(run_dir or scratch),
        beta=params.beta,
        max_length=None,
        precompute_ref_log_probs=True,  # the start policy need not stay in memory
        save_total_limit=2,  # where the newest is damaged, the other one is taken
        **flags,
    )
    trainer = _SoftDPOTrainer(
        model=start.model,
        args=config,
        data_collator=_SoftLabelCollator(start.tokenizer.pad_token_id, pad_to_multiple_of=SHAPE_STEP),
        train_dataset=dataset,
        processing_class=start.tokenizer,
    )
    steps = params.steps(len(dataset))
    resume_from = newest_checkpoint(run_dir, steps, "DPO") if run_dir else None
    kept = _Kept(start, params, run_dir, resume_from, steps)
    trainer.add_callback(kept)
    if resume_from:
        logger.info("DPO resumes from %s", resume_from.name)
    return run(trainer, METRICS, resume_from), kept.snapshots


class _Kept(TrainerCallback):
    """Keeps the weights every k steps, and asks for checkpoints where there is a directory for them."""

    def __init__(
        self, start: LanguageModel, params: DPOParams, run_dir: Path | None, resume_from: Path | None, steps: int
    ) -> None:
        self.model, self.params, self.run_dir, self.steps = start.model, params, run_dir, steps
        self.snapshots: dict[int, dict[str, Tensor]] = {}
        if run_dir and resume_from:
            self.snapshots = load_snapshots(run_dir, int(resume_from.name.removeprefix("checkpoint-")))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        done = state.global_step
        saves = done == self.steps or done % self.params.checkpoint_every == 0
        if done % self.params.snapshot_every == 0:
            check_weights("DPO", self.model.named_parameters())
            self.snapshots[done] = trained_weights(self.model)
            if self.run_dir:
                save_weights(self.snapshots[done], self.run_dir / SNAPSHOTS / f"{done}.safetensors")
        control.should_log = control.should_log or done == self.steps
        control.should_save = self.run_dir is not None and saves

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        seal(Path(str(args.output_dir)) / f"checkpoint-{state.global_step}", state.global_step)
