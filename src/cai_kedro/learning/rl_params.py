"""What reinforcement learning is told, and what it gives back."""

from dataclasses import dataclass
from typing import Literal, Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.training_arguments import Device, DType


class RLParams(BaseModel):
    """How to train a policy against a preference model (PM).

    A rollout draws `prompts_per_rollout` prompts and `samples_per_prompt` replies to each; then every reply is learnt
    from in `ppo_epochs` passes of minibatches of `minibatch_size` replies. KL is in nats per reply, `kl_horizon` in
    replies. A null `kl_target` keeps `kl_coef` fixed.

    `value_trunk_gradient` scales the value loss's gradient into the policy's trunk: 0 trains the value head alone, 1 is
    the usual shared trunk. `center_scores` takes the start policy's mean score off, which a PM leaves open anyway.
    `scale_rewards` divides by the standard deviation of the scores of the start policy's replies, those of the first
    rollout, so that a `kl_coef` means the same for every PM; `kl_coef` and `missing_eos_penalty` are in that unit.
    A null `checkpoint_dir` writes no checkpoints.

    `rloo` and `grpo` are TRL's trainers. They have no value head, a fixed KL coefficient and no checkpoints, and read
    none of the parameters about these.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    algorithm: Literal["ppo", "rloo", "grpo"]
    device: Device
    dtype: DType
    rollouts: int = Field(ge=1)
    prompts_per_rollout: int = Field(ge=1)
    samples_per_prompt: int = Field(ge=1)
    ppo_epochs: int = Field(ge=1)
    minibatch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    value_learning_rate: float = Field(gt=0)
    warmup_rollouts: int = Field(ge=0)
    clip_range: float = Field(gt=0, lt=1)
    value_clip_range: float = Field(gt=0)
    vf_coef: float = Field(ge=0)
    value_trunk_gradient: float = Field(ge=0, le=1)
    gamma: float = Field(gt=0, le=1)
    gae_lambda: float = Field(ge=0, le=1)
    whiten_advantages: bool
    center_scores: bool
    scale_rewards: bool
    kl_coef: float = Field(ge=0)
    kl_target: float | None = Field(gt=0)
    kl_horizon: float = Field(gt=0)
    max_new_tokens: int = Field(ge=1)
    temperature: float = Field(gt=0)
    missing_eos_penalty: float = Field(ge=0)
    max_grad_norm: float = Field(gt=0)
    max_batch_tokens: int = Field(ge=1)
    snapshot_every: int = Field(ge=1)
    checkpoint_every: int = Field(ge=1)
    checkpoint_dir: str | None

    @property
    def episodes(self) -> int:
        """Replies per rollout."""
        return self.prompts_per_rollout * self.samples_per_prompt

    @property
    def steps_per_rollout(self) -> int:
        """Optimiser steps per rollout."""
        return self.ppo_epochs * -(-self.episodes // self.minibatch_size)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.minibatch_size > self.episodes:
            raise ValueError(
                f"minibatch_size={self.minibatch_size} is larger than a rollout of {self.episodes} replies "
                f"(prompts_per_rollout * samples_per_prompt); lower it or collect more"
            )
        if self.algorithm != "ppo" and (self.samples_per_prompt < 2 or self.episodes % self.minibatch_size):  # noqa: PLR2004
            raise ValueError(
                f"algorithm={self.algorithm} compares the replies to one prompt and cuts a rollout in equal parts: it "
                f"needs samples_per_prompt >= 2 and minibatch_size to divide {self.episodes}, got "
                f"samples_per_prompt={self.samples_per_prompt}, minibatch_size={self.minibatch_size}"
            )
        return self


@dataclass(frozen=True)
class RLResult:
    """The trained policy, snapshots along the way (rollouts done -> model, on the CPU) and the training curves.

    In the curves `step` is the number of rollouts done. PPO's snapshot after the last rollout is the policy itself.
    """

    policy: LanguageModel
    snapshots: dict[int, LanguageModel]
    curves: pd.DataFrame
