"""How TRL's trainers of RLOO and GRPO are driven by a scorer, our prompts and our seeds."""

import copy
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tokenizers.processors import TemplateProcessing
from transformers import (
    PreTrainedTokenizerBase,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer
from trl.trainer.utils import RepeatSampler

from cai_kedro.core.finite import check_scores, check_weights
from cai_kedro.core.schemas import check_table
from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.checkpoints import RunFolder
from cai_kedro.learning.progress import ProgressCallback
from cai_kedro.learning.replies import ReplyReader
from cai_kedro.learning.resumable import ResumableTraining
from cai_kedro.learning.rewards import Scorer, ScoreUnits, reply_rewards
from cai_kedro.learning.rl.rloo_grpo import TRLParams
from cai_kedro.learning.rl_params import RLResult
from cai_kedro.learning.rollouts import EncodedPrompts
from cai_kedro.learning.trainer_run import on_loan
from cai_kedro.learning.training_arguments import attention_for, device_flags
from cai_kedro.learning.vllm_replies import reply_reader
from cai_kedro.models.adapters import copy_with, trained
from cai_kedro.models.weights import trained_weights
from datasets import Dataset

logger = logging.getLogger(__name__)


class _ByPass(RepeatSampler):
    """TRL's sampler, which draws by the number of the pass: a run that goes on draws what it would have drawn."""

    def set_epoch(self, epoch: int) -> None:
        """Say which pass the next one is; the draws of those before it are thrown away."""
        assert self.seed is not None  # its type allows a sampler that draws anew in each run
        self.generator.manual_seed(self.seed)
        for _ in range(epoch):
            torch.randperm(self.num_samples, generator=self.generator)


class _Rewards:
    """TRL's reward function: the scores of what people read of replies, in the units of the first rollout."""

    def __init__(self, score: Scorer, policy: LanguageModel, params: TRLParams) -> None:
        self.score, self.reader, self.params = score, ReplyReader(policy), params
        self.units: ScoreUnits | None = None

    def of_replies(
        self,
        prompts: list[str],
        completion_ids: list[list[int]],
        prompt_token_ids: list[list[int]],
        prompt_id: list[str],
        log_metric: Callable[[str, float], None],
        **_: Any,
    ) -> list[float]:
        """Return the reward of each reply; the rest are TRL's names for the columns of the data set."""
        replies = self.reader.read(completion_ids)
        asked = EncodedPrompts(prompt_id, prompts, prompt_token_ids)
        scores = self.score.score(asked, replies.read).float().cpu()
        check_scores(self.score.who, scores)
        self.units = self.units or ScoreUnits.of(scores, self.params)
        log_metric(self.score.metric, scores.mean().item())
        log_metric("reward_scale", self.units.scale)
        penalty = self.params.missing_eos_penalty
        rewards: list[float] = reply_rewards(scores, replies.ended, self.units, penalty).tolist()
        return rewards


class _Resumable(ResumableTraining):
    """What stands before both trainers of TRL. A checkpoint lies at the end of a rollout, where curves have a line."""

    rewards: _Rewards
    reader: ReplyReader
    params: TRLParams
    run_seed: int

    def _generate_single_turn(self, prompt_ids: list[list[int]], *more: Any, **named: Any) -> Any:
        """Return the ids of the replies, as TRL draws them or as the sampler does; of GRPO with no probabilities."""
        own: Any = super()
        if self.params.sampler is None:
            return own._generate_single_turn(prompt_ids, *more, **named)
        policy: Any = self.model
        step = self.state.global_step
        seeds = [derive_seed(self.run_seed, "rollout", step, row) for row in range(len(prompt_ids))]
        written = self.reader.sample(policy, prompt_ids, seeds, self.params).written
        return (written, None) if self.params.algorithm == "grpo" else written

    def _get_train_sampler(self, dataset: Any = None) -> _ByPass:
        drawn: Any = super()._get_train_sampler(dataset)
        return _ByPass(
            drawn.data_source, drawn.mini_repeat_count, drawn.batch_size, drawn.repeat_count, drawn.shuffle, drawn.seed
        )

    def progress(self) -> list[float] | None:
        """Return the units of the scores."""
        units = self.rewards.units
        return None if units is None else [units.centre, units.scale]

    def restore(self, progress: list[float] | None) -> None:
        """Take them back."""
        self.rewards.units = None if progress is None else ScoreUnits(*progress)


class _RLOO(_Resumable, RLOOTrainer):
    training_name = "RLOO"


class _GRPO(_Resumable, GRPOTrainer):
    training_name = "GRPO"


_TRAINERS: dict[str, tuple[type[Any], type[Any]]] = {
    "rloo": (_RLOO, RLOOConfig),
    "grpo": (_GRPO, GRPOConfig),
}

# TRL's names and ours
_METRICS = {
    "pm_score": "pm_score",
    "judge_score": "judge_score",
    "reward_scale": "reward_scale",
    "reward": "reward",
    "kl": "kl",
    "entropy": "entropy",
    "clip_ratio/region_mean": "clip_fraction",
    "completions/mean_length": "response_length",
}


def train_with_trl(
    policy: LanguageModel,
    score: Scorer,
    prompts: EncodedPrompts,
    params: TRLParams,
    seed: int,
    folder: RunFolder | None,
) -> RLResult:
    """Train the policy in place by the trainer of `params`, from the newest checkpoint in the folder if there is one.

    KL here is per token, as TRL reports it.
    """
    trainer_class, config_class = _TRAINERS[params.algorithm]
    tokenizer = _prompt_tokenizer(policy)
    prompts = _read_alike(prompts, tokenizer)
    named = policy.model.config._name_or_path
    with on_loan(policy.model, attention_for(params.device)) as scratch, reply_reader(policy, params) as reader:
        # TRL loads the reference of the KL penalty from where the policy says it came from
        start = Path(scratch) / "start"
        policy.model.save_pretrained(start)
        policy.model.config._name_or_path = str(start)
        rewards = _Rewards(score, policy, params)
        try:
            trainer = trainer_class(
                model=policy.model,
                reward_funcs=rewards.of_replies,
                args=config_class(output_dir=scratch, **_settings(params, seed)),
                train_dataset=Dataset.from_dict(
                    {
                        "prompt": prompts.texts,
                        "prompt_token_ids": prompts.token_ids,
                        "prompt_id": prompts.prompt_ids,
                    }
                ),
                processing_class=tokenizer,
                callbacks=[ProgressCallback(trainer_class.training_name)],
            )
            trainer.rewards = rewards
            trainer.reader, trainer.params, trainer.run_seed = reader, params, seed
            trainer.remove_callback(PrinterCallback)
            trainer.add_callback(_Snapshots(trainer, params))
            trainer.train_in(folder, params.rollouts * params.steps_per_rollout)
        finally:
            policy.model.config._name_or_path = named
    return RLResult(
        policy=trained(policy),
        snapshots={step: copy_with(policy, weights) for step, weights in trainer.snapshots.items()},
        curves=_curves(trainer.state.log_history, params.steps_per_rollout),
        last=params.rollouts,
    )


def _settings(params: TRLParams, seed: int) -> dict[str, Any]:
    return {
        **device_flags(params.device, params.dtype, seed),
        "max_steps": params.rollouts * params.steps_per_rollout,
        "per_device_train_batch_size": params.rows_at_once,
        "gradient_accumulation_steps": params.minibatch_size // params.rows_at_once,
        "steps_per_generation": params.episodes // params.rows_at_once,
        "num_generations": params.samples_per_prompt,
        "num_iterations": params.ppo_epochs,
        "max_completion_length": params.max_new_tokens,
        "temperature": params.temperature,
        "beta": params.kl_coef,
        "epsilon": params.clip_range,
        "learning_rate": params.learning_rate,
        **_schedule(params),
        "warmup_steps": params.warmup_steps,
        "max_grad_norm": params.max_grad_norm,
        "logging_steps": params.steps_per_rollout,
    }


def _schedule(params: TRLParams) -> dict[str, Any]:
    if not params.slows_down:
        return {"lr_scheduler_type": "constant_with_warmup"}
    lr_end = params.min_lr_rate * params.learning_rate
    return {"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"power": 1.0, "lr_end": lr_end}}


def _prompt_tokenizer(policy: LanguageModel) -> PreTrainedTokenizerBase:
    """Return a copy that gives our ids when TRL calls it with nothing but texts, and that ends turns as we do.

    In the layout of base models: BOS in front, special tokens split. A chat template writes both itself.
    """
    ours = copy.deepcopy(policy.tokenizer)
    ours.split_special_tokens = policy.layout.bos
    if policy.layout.turn_end is not None:
        ours.eos_token = policy.layout.turn_end
    backend = getattr(ours, "backend_tokenizer", None)
    if backend is not None:
        bos = ours.bos_token if policy.layout.bos else None
        backend.post_processor = TemplateProcessing(
            single="$A" if bos is None else [bos, "$A"],
            special_tokens=[] if bos is None else [(bos, ours.bos_token_id)],
        )
    return ours


def _read_alike(prompts: EncodedPrompts, tokenizer: PreTrainedTokenizerBase) -> EncodedPrompts:
    """Leave out prompts of which TRL would read other ids than the preference model: they spell control tokens.

    Raises `ValueError` for a tokenizer of which it reads nothing alike.
    """
    ids = tokenizer(prompts.texts)["input_ids"]
    kept = [row for row, (theirs, ours) in enumerate(zip(ids, prompts.token_ids, strict=True)) if theirs == ours]
    if not kept:
        raise ValueError(
            "TRL would read other token ids than the preference model for these prompts with this tokenizer; use "
            "algorithm: ppo"
        )
    if len(kept) < len(prompts):
        logger.warning(
            "%d of %d prompts spell control tokens, which TRL would not read as text: left out; algorithm: ppo does",
            len(prompts) - len(kept),
            len(prompts),
        )
    return prompts.rows(kept)


class _Snapshots(TrainerCallback):
    """Keeps the policy's weights every k rollouts, and looks at them after each: nothing can be sampled from NaN."""

    def __init__(self, trainer: _Resumable, params: TRLParams) -> None:
        self.trainer, self.params = trainer, params

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        done, rest = divmod(state.global_step, self.params.steps_per_rollout)
        model = self.trainer.model
        assert model is not None  # its type allows a trainer without one
        if rest == 0:
            check_weights(self.trainer.training_name, model.named_parameters())
        if rest == 0 and done % self.params.snapshot_every == 0:
            self.trainer.snapshots[done] = trained_weights(model)


def _curves(log_history: list[dict[str, Any]], steps_per_rollout: int) -> pd.DataFrame:
    rows = []
    for entry in log_history:
        done = int(entry["step"]) // steps_per_rollout
        rows += [(done, ours, float(entry[theirs])) for theirs, ours in _METRICS.items() if theirs in entry]
        if "completions/clipped_ratio" in entry:
            rows.append((done, "eos_rate", 1.0 - float(entry["completions/clipped_ratio"])))
    return check_table("curves", pd.DataFrame(rows, columns=["step", "metric", "value"]))
