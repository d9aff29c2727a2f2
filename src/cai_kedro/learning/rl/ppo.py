"""PPO on `transformers.Trainer`: one trainer epoch is one rollout and the passes over it (method.md §1, RL).

The formulas are in `ppo_math`, the drawing and padding in `rollouts`, the value head in `value_head`.
"""

import copy
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from typing import Any, ClassVar, Self

import pandas as pd
import torch
from pydantic import Field
from torch import Tensor, nn
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from cai_kedro.core.finite import check_scores, check_weights
from cai_kedro.core.progress import clock
from cai_kedro.core.schemas import check_table
from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning import ranks
from cai_kedro.learning.checkpoints import RunFolder
from cai_kedro.learning.launch import train_on
from cai_kedro.learning.outcome import Outcome
from cai_kedro.learning.processes import Processes
from cai_kedro.learning.replies import Replies, ReplyReader
from cai_kedro.learning.resumable import ResumableTraining
from cai_kedro.learning.rewards import Scorer, ScoreUnits, pm_on_loan, reply_rewards
from cai_kedro.learning.rl import ppo_math
from cai_kedro.learning.rl.online import one_rollout, training_on_replies
from cai_kedro.learning.rl.ppo_state import PPOState
from cai_kedro.learning.rl.shared_rollouts import add_figures, add_gradients, drawn_by_all, own_part, read_by_all
from cai_kedro.learning.rl_params import Data, RLResult, RolloutParams
from cai_kedro.learning.rollouts import EncodedPrompts, Episodes, drawn_prompts, sample_seeds
from cai_kedro.learning.trainer_run import on_loan
from cai_kedro.learning.training_arguments import attention_for, chunk_tokens, device_flags
from cai_kedro.learning.value_head import ActorCritic, reply_logprobs
from cai_kedro.learning.vllm_replies import reply_reader
from cai_kedro.models.adapters import as_it_came, copy_with, trained
from cai_kedro.models.weights import trainable, trained_weights
from datasets import Dataset

logger = logging.getLogger(__name__)

LINES_PER_RUN = 8


class PPOParams(RolloutParams):
    """PPO of ours, with a value head and an adaptive KL coefficient.

    KL is in nats per reply, `kl_horizon` in replies. A null `kl_target` keeps `kl_coef` fixed. `value_trunk_gradient`
    scales the value loss's gradient into the policy's trunk: 0 trains the value head alone, 1 is the usual shared
    trunk.
    """

    algorithm: ClassVar[str] = "ppo"
    shares_batches: ClassVar[bool] = True

    value_learning_rate: float = Field(gt=0)
    value_clip_range: float = Field(gt=0)
    vf_coef: float = Field(ge=0)
    value_trunk_gradient: float = Field(ge=0, le=1)
    gamma: float = Field(gt=0, le=1)
    gae_lambda: float = Field(ge=0, le=1)
    whiten_advantages: bool
    kl_target: float | None = Field(gt=0)
    kl_horizon: float = Field(gt=0)

    def train(self, start: LanguageModel, data: Data, seed: int, processes: Processes) -> RLResult:
        """Train against who scores replies, from the newest checkpoint of this very run if there is one."""
        seed = derive_seed(seed, "reinforcement learning")
        with training_on_replies(start, data, self, seed, processes) as (encoded, score, folder):
            if processes.processes == 1:
                return train_ppo(start, score, encoded, self, seed, folder)
            if data.preference_model is None:
                raise ValueError("rewards of the labeller are given in one process; set training.processes to 1")
            rows = prompt_rows(encoded)
            outcome = train_on(
                processes, learn_together, start, rows, self, seed, folder, others=[data.preference_model]
            )
            return _result(start, outcome, self)

    def small(self, rows: int) -> Self:
        """Return the parameters of one rollout of at most so many prompts, in minibatches of equal size."""
        return self.model_copy(update=one_rollout(self, rows))


def train_ppo(
    policy: LanguageModel,
    score: Scorer,
    prompts: EncodedPrompts,
    params: PPOParams,
    seed: int,
    folder: RunFolder | None,
) -> RLResult:
    """Train the policy in place against a scorer, from the newest checkpoint in the folder if there is one.

    The reference of the KL penalty is the policy as it comes. Deterministic for one machine: the same arguments give
    the same weights and curves, interrupted or not. Raises `ValueError` at the first number that is not finite.
    """
    return _result(policy, _learn(policy, score, prompts, params, seed, folder), params)


def prompt_rows(prompts: EncodedPrompts) -> Dataset:
    """Return encoded prompts as the rows of `learn_together`."""
    return Dataset.from_dict({"id": prompts.prompt_ids, "text": prompts.texts, "token_ids": prompts.token_ids})


def learn_together(
    policy: LanguageModel,
    rows: Dataset,
    params: PPOParams,
    seed: int,
    folder: RunFolder | None,
    preference_model: LanguageModel,
) -> Outcome:
    """Train the policy in place as one of several processes, all against the preference model."""
    prompts = EncodedPrompts(rows["id"][:], rows["text"][:], rows["token_ids"][:])
    with pm_on_loan(policy, preference_model, params) as score:
        return _learn(policy, score, prompts, params, seed, folder)


def _learn(
    policy: LanguageModel,
    score: Scorer,
    prompts: EncodedPrompts,
    params: PPOParams,
    seed: int,
    folder: RunFolder | None,
) -> Outcome:
    # with its adapter off, the policy is the reference
    reference = policy.model if policy.adapter else copy.deepcopy(policy.model).requires_grad_(False).eval()
    with ExitStack() as loans:
        scratch = loans.enter_context(on_loan(policy.model, attention_for(params.device)))
        if reference is not policy.model:
            loans.enter_context(on_loan(reference, attention_for(params.device)))
        reader = loans.enter_context(reply_reader(policy, params))
        trainer = PPOTrainer(policy, reference, score, prompts, params, seed, scratch, reader)
        trainer.train_in(folder, params.rollouts * params.steps_per_rollout)
    curves = pd.DataFrame(trainer.memory.curve_rows, columns=["step", "metric", "value"])
    return Outcome(check_table("curves", curves), trainer.snapshots)


def _result(policy: LanguageModel, outcome: Outcome, params: PPOParams) -> RLResult:
    return RLResult(
        policy=trained(policy),
        snapshots={
            step: trained(policy) if step == params.rollouts else copy_with(policy, weights)
            for step, weights in outcome.snapshots.items()
        },
        curves=outcome.curves,
        last=params.rollouts,
    )


class PPOTrainer(ResumableTraining):
    """Collects a rollout at every epoch's start and learns from it; `memory` is all it remembers between epochs."""

    training_name = "PPO"
    epochs_are_steps = True

    def __init__(
        self,
        policy: LanguageModel,
        reference: PreTrainedModel,
        score: Scorer,
        prompts: EncodedPrompts,
        params: PPOParams,
        seed: int,
        scratch: str,
        reader: ReplyReader,
    ) -> None:
        flags = device_flags(params.device, params.dtype, seed) | {"activation_checkpointing": False}
        args = TrainingArguments(
            output_dir=scratch,
            num_train_epochs=params.rollouts,
            per_device_train_batch_size=params.minibatch_size,
            max_grad_norm=0,  # _PPOCallback clips policy and value head apart from each other
            logging_strategy="no",
            ignore_data_skip=True,  # checkpoints lie on rollout boundaries
            **flags,
        )
        model = ActorCritic(policy.model, params.value_trunk_gradient).to(args.device)
        optimizer = torch.optim.AdamW(
            [
                {"params": trainable(model.policy), "lr": params.learning_rate},
                {"params": list(model.value_head.parameters()), "lr": params.value_learning_rate},
            ],
            betas=(0.9, 0.95),
            weight_decay=0.0,
            fused=True,
        )
        factor = partial(
            ppo_math.lr_factor,
            warmup=params.warmup_steps,
            steps=params.rollouts * params.steps_per_rollout,
            min_rate=params.min_lr_rate,
        )
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        super().__init__(model=model, args=args, optimizers=(optimizer, scheduler))
        self.actor_critic = model
        self.tokenizer = policy.tokenizer
        self.reader = reader
        self.reference = reference.to(args.device)  # type: ignore[arg-type]
        self.score, self.prompts, self.params = score, prompts, params
        self.run_seed = seed
        self.batch_tokens = min(params.max_batch_tokens, chunk_tokens(params.device))
        self.memory = PPOState(kl_coef=params.kl_coef)
        self.figures: dict[str, list[float]] = {}
        self.share = 1.0  # of the minibatch's tokens, in the part in progress
        self.of_minibatch: dict[str, float] = {}  # figures of the parts so far
        self.remove_callback(PrinterCallback)
        self.add_callback(_PPOCallback(self))

    # ---- what the Trainer asks for

    def get_train_dataloader(self) -> "_Rollouts":  # type: ignore[override]
        """Return rollouts that are collected when they are asked for.

        A loader prepared by accelerate reads one batch ahead: with a policy that is a step too old.
        """
        return _Rollouts(self)

    def training_step(self, model: nn.Module, inputs: dict[str, Tensor], *args: Any, **kwargs: Any) -> Tensor:
        """Add up the gradients of a minibatch's parts, each by its share of the tokens; return the minibatch's loss.

        One of several processes adds up those of its own rows; the optimiser takes the sum of all.
        """
        own, tokens = own_part(inputs), inputs["mask"].sum()
        parts = own.parts(self.params.rows_at_once) if own else []
        self.of_minibatch = {}
        losses = []
        for part in parts:
            alone = len(parts) == 1 and ranks.world() == 1
            self.share = 1.0 if alone else float(part["mask"].sum() / tokens)
            losses.append(super().training_step(model, part, *args, **kwargs))
        for metric, figure in add_figures(self.of_minibatch).items():
            self.note(metric, figure)
        return torch.stack(losses).sum() if losses else tokens.new_zeros(())

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return the clipped policy loss plus `vf_coef` times the clipped value loss, by the part's share."""
        mask = inputs["mask"]
        # DDP would average gradients part by part, and the processes have different ones
        reads = model if ranks.world() == 1 else self.actor_critic
        reader = partial(reads, temperature=self.params.temperature, entropy=False)
        logprobs, values, _ = Episodes.from_batch(inputs).read(reader, self.batch_tokens)
        policy_loss, clipped = ppo_math.clipped_policy_loss(
            logprobs, inputs["logprobs"], inputs["advantages"], mask, self.params.clip_range
        )
        value_loss, value_clipped = ppo_math.clipped_value_loss(
            values, inputs["values"], inputs["returns"], mask, self.params.value_clip_range
        )
        figures = {
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "clip_fraction": clipped,
            "value_clip_fraction": value_clipped,
            "approximate_kl": ppo_math.approximate_kl(logprobs.detach(), inputs["logprobs"], mask),
        }
        for metric, figure in figures.items():
            self.of_minibatch[metric] = self.of_minibatch.get(metric, 0.0) + self.share * float(figure.detach())
        loss = policy_loss + self.params.vf_coef * value_loss
        loss = loss if self.share == 1 else loss * self.share
        return (loss, {}) if return_outputs else loss

    def progress(self) -> dict[str, Any]:
        """Return the memory."""
        return self.memory.as_json()

    def restore(self, progress: dict[str, Any]) -> None:
        """Take the memory back."""
        self.memory = PPOState.of(progress)

    # ---- a rollout

    def collect(self, rollout: int) -> Episodes:
        """Sample, score and compute all that learning needs; note the rollout's figures."""
        rows = drawn_prompts(self.prompts.prompt_ids, self.params.prompts_per_rollout, rollout, self.run_seed)
        seeds = sample_seeds(
            [self.prompts.prompt_ids[row] for row in rows], self.params.samples_per_prompt, rollout, self.run_seed
        )
        prompts = self.prompts.rows([row for row in rows for _ in range(self.params.samples_per_prompt)])
        replies, scores = drawn_by_all(self._draw, prompts, seeds)
        rewards = self._rewards(scores, replies)
        episodes = Episodes.of(prompts.token_ids, replies.written, self.tokenizer.pad_token_id, self.args.device)
        self._forward(episodes)
        self._credit(episodes, rewards.to(self.args.device))
        self.note("eos_rate", replies.ended.float().mean())
        self.note("response_length", episodes.mask.sum(1).mean())
        return episodes

    def _draw(self, prompts: EncodedPrompts, seeds: Sequence[int]) -> tuple[Replies, Tensor]:
        """Return a reply to each prompt, and the scores (n,)."""
        with self.accelerator.autocast():
            replies = self.reader.sample(self.actor_critic.policy, prompts.token_ids, seeds, self.params)
        with self.accelerator.autocast():
            return replies, self.score.score(prompts, replies.read).float().cpu()

    def _rewards(self, scores: Tensor, replies: Replies) -> Tensor:
        """Return the reward of each reply, (n,); the first rollout says in what units."""
        check_scores(self.score.who, scores)
        if self.memory.units is None:
            self.memory.units = ScoreUnits.of(scores, self.params)
        self.note(self.score.metric, scores.mean())
        self.note("reward_scale", self.memory.units.scale)
        return reply_rewards(scores, replies.ended, self.memory.units, self.params.missing_eos_penalty)

    @torch.no_grad()
    def _forward(self, episodes: Episodes) -> None:
        """Fill in log-probabilities, values and entropies of the policy, and the reference's log-probabilities."""
        temperature = self.params.temperature

        def reader(**batch: Tensor) -> tuple[Tensor, ...]:
            own = self.reference is self.actor_critic.policy
            with as_it_came(self.reference) if own else nullcontext():
                known = reply_logprobs(self.reference, **batch, temperature=temperature)
            return *self.actor_critic(**batch, temperature=temperature, entropy=True), known

        with self.accelerator.autocast():
            found = read_by_all(episodes, reader, self.batch_tokens)
        episodes.signals.update(zip(("logprobs", "values", "entropy", "reference_logprobs"), found, strict=True))
        self.note("entropy", ppo_math.masked_mean(episodes.signals["entropy"], episodes.mask))

    def _credit(self, episodes: Episodes, of_replies: Tensor) -> None:
        """Fill in advantages and returns, and let the KL coefficient follow its target."""
        params, signals, mask = self.params, episodes.signals, episodes.mask
        divergence = ppo_math.sequence_kl(signals["logprobs"], signals["reference_logprobs"], mask)
        kl, kl_coef = divergence.mean().item(), self.memory.kl_coef
        rewards = ppo_math.token_rewards(of_replies, signals["logprobs"], signals["reference_logprobs"], mask, kl_coef)
        advantages, returns = ppo_math.generalised_advantages(
            rewards, signals["values"], mask, params.gamma, params.gae_lambda
        )
        self.note("reward", rewards.sum(1).mean())
        self.note("kl", kl)
        self.note("kl_coef", kl_coef)
        self.note("explained_variance", ppo_math.explained_variance(signals["values"], returns, mask))
        signals["returns"] = returns
        signals["advantages"] = ppo_math.masked_whiten(advantages, mask) if params.whiten_advantages else advantages
        if params.kl_target is not None:
            self.memory.kl_coef = ppo_math.adapted_kl_coef(
                kl_coef, kl, params.kl_target, params.episodes, params.kl_horizon
            )

    # ---- figures and snapshots

    def note(self, metric: str, value: Tensor | float) -> None:
        """Remember a figure of this rollout; several of one metric are averaged. Raises `ValueError` if not finite."""
        figure = float(value.detach()) if isinstance(value, Tensor) else value
        self.check_figures({metric: figure})
        self.figures.setdefault(metric, []).append(figure)

    def end_rollout(self, done: int) -> dict[str, float]:
        """Move the figures to the curves, take a snapshot if it is time, and return the figures.

        Raises `ValueError` where a weight is not finite, before snapshot or checkpoint is written.
        """
        check_weights(self.training_name, self.actor_critic.named_parameters())
        figures = {metric: sum(values) / len(values) for metric, values in self.figures.items()}
        self.memory.curve_rows += [(done, metric, value) for metric, value in figures.items()]
        self.figures = {}
        if done % self.params.snapshot_every == 0:
            last = done == self.params.rollouts
            # the last one is the policy itself, whose copy is only for a longer run that goes on from here
            self.snapshots[done] = trained_weights(self.actor_critic.policy) if self.folder or not last else {}
        return figures


class _Rollouts:
    """What the Trainer takes for a data loader: each pass collects a rollout and yields its minibatches."""

    def __init__(self, trainer: PPOTrainer) -> None:
        self.trainer = trainer
        self.rollout = 0

    def __len__(self) -> int:
        return self.trainer.params.steps_per_rollout

    def set_epoch(self, epoch: int) -> None:
        self.rollout = epoch

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        trainer, rollout = self.trainer, self.rollout
        episodes = trainer.collect(rollout)
        for epoch in range(trainer.params.ppo_epochs):
            seed = derive_seed(trainer.run_seed, "minibatches", rollout, epoch)
            yield from episodes.minibatches(trainer.params.minibatch_size, seed)


class _PPOCallback(TrainerCallback):
    """Clips gradients, and at the end of a rollout keeps its figures and writes the progress line."""

    def __init__(self, trainer: PPOTrainer) -> None:
        self.trainer = trainer
        self.started, self.first = 0.0, 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.started = time.monotonic()
        self.first = state.global_step // self.trainer.params.steps_per_rollout

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # together, a bad critic's large gradient would scale the policy's down
        model, most = self.trainer.actor_critic, self.trainer.params.max_grad_norm
        add_gradients(trainable(model))
        nn.utils.clip_grad_norm_(model.policy.parameters(), most)
        nn.utils.clip_grad_norm_(model.value_head.parameters(), most)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        params, score = self.trainer.params, self.trainer.score
        done = state.global_step // params.steps_per_rollout
        figures = self.trainer.end_rollout(done)
        last = done == params.rollouts
        if last or done % max(1, params.rollouts // LINES_PER_RUN) == 0:
            rate = (time.monotonic() - self.started) / (done - self.first)
            logger.info(
                "PPO: rollout %d/%d, %s %.2f, KL %.2f, KL coefficient %.3f, %.1f s/rollout, %s left",
                done, params.rollouts, score.label, figures[score.metric], figures["kl"], figures["kl_coef"], rate,
                clock(rate * (params.rollouts - done)),
            )  # fmt: skip
