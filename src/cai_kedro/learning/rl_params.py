"""What every algorithm that makes a policy is told and given, and what it gives back."""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.vllm_engine import VLLMSettings
from cai_kedro.learning.processes import Processes
from cai_kedro.learning.training_arguments import CheckpointParams, Device, DType

#: What an algorithm learns from: its own replies to prompts, which somebody scores; or comparisons alone.
LearnsFrom = Literal["replies", "comparisons"]


class TextReward(Protocol):
    """Who scores replies as people read them, in the place of a preference model."""

    @property
    def fingerprint(self) -> str:
        """A digest of all that a reward depends on."""
        ...

    def score(self, prompt_ids: Sequence[str], replies: Sequence[str]) -> NDArray[np.float64]:
        """Return the reward of each reply to the prompt of that id: (replies,)."""
        ...


@dataclass(frozen=True)
class Data:
    """What an arm has to learn from: `comparisons` that are not held out, or `prompts` and who scores replies to them.

    That is a preference model (PM), or a `reward`.
    """

    comparisons: pd.DataFrame | None = None
    prompts: pd.DataFrame | None = None
    preference_model: LanguageModel | None = None
    reward: TextReward | None = None


@dataclass(frozen=True)
class RLResult:
    """The trained policy, snapshots along the way (steps done -> model, on the CPU) and the training curves.

    Steps are those of the algorithm's parameters (`step_unit`); `last` is the step of the trained policy. The snapshot
    after it is the policy itself, where the algorithm saves the copy.
    """

    policy: LanguageModel
    snapshots: dict[int, LanguageModel]
    curves: pd.DataFrame
    last: int


class AlgorithmParams(BaseModel, ABC):
    """The parameters of one algorithm, and how to train by it.

    `max_new_tokens`, `temperature` and `max_batch_tokens` say how replies are drawn: those that are learnt from, and
    those of the snapshots that are looked at afterwards. The policy draws them itself, or a `sampler` does, which is
    vLLM on the same GPU. A snapshot is taken every `snapshot_every` steps.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: The name in `lineage.policies.….algorithm`.
    algorithm: ClassVar[str]
    learns_from: ClassVar[LearnsFrom]
    #: What a step of the curves and snapshots is.
    step_unit: ClassVar[str]
    #: Whether it trains an adapter, too.
    trains_adapters: ClassVar[bool] = True
    #: Whether it trains on several processes, too.
    shares_batches: ClassVar[bool] = False

    device: Device
    dtype: DType
    max_new_tokens: int = Field(ge=1)
    temperature: float = Field(gt=0)
    max_batch_tokens: int = Field(ge=1)
    sampler: VLLMSettings | None = None
    snapshot_every: int = Field(ge=1)

    @abstractmethod
    def train(self, start: LanguageModel, data: Data, seed: int, processes: Processes) -> RLResult:
        """Train the start policy in place; `learning.rl.train` says what is promised."""

    @abstractmethod
    def small(self, rows: int) -> Self:
        """Return the parameters of a training on so few prompts or comparisons, to time it; without checkpoints."""

    def rows(self, comparisons: int) -> int:
        """Return how many rows a training reads: episodes, or comparisons with epochs, of which so many are there."""
        return self.steps(comparisons) * self.rows_a_step

    @property
    @abstractmethod
    def rows_a_step(self) -> int:
        """Episodes or comparisons that a step learns from."""

    @abstractmethod
    def steps(self, comparisons: int) -> int:
        """Return how many steps a training has; not all algorithms go by the number of comparisons."""

    @model_validator(mode="before")
    @classmethod
    def _fields_are_its_own(cls, given: Any) -> Any:
        for name in given if isinstance(given, Mapping) else ():
            check_field(cls, str(name))
        return given


def check_field(params: type[AlgorithmParams], name: str) -> None:
    """Raise `ValueError`, with the fields that there are, for a field that the algorithm does not have."""
    fields = params.model_fields
    if name not in fields:
        near = difflib.get_close_matches(name, fields, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "take it away; each algorithm has its own"
        raise ValueError(
            f"{name!r} is not among the parameters of {params.algorithm}, rlhf.rl.{params.algorithm} "
            f"({', '.join(fields)}); {hint}"
        )


class RolloutParams(AlgorithmParams):
    """How to train a policy against a preference model (PM) or another reward, rollout by rollout.

    A rollout draws `prompts_per_rollout` prompts and `samples_per_prompt` replies to each; then every reply is learnt
    from in `ppo_epochs` passes of minibatches of `minibatch_size` replies. At most `device_batch_size` of a minibatch
    are learnt from at a time, and their gradients are added up; null reads a whole minibatch at once.

    `center_scores` takes the start policy's mean score off, which a PM leaves open anyway. `scale_rewards` divides by
    the standard deviation of the scores of the start policy's replies, those of the first rollout, so that a `kl_coef`
    means the same for every PM; `kl_coef` and `missing_eos_penalty` are in that unit. Without `checkpoints`, an
    interrupted training starts again.

    The learning rate rises over `warmup_rollouts` and then falls linearly, to `min_lr_rate` of itself at the end of the
    last rollout; at 1 it stays as it is.
    """

    learns_from: ClassVar[LearnsFrom] = "replies"
    step_unit: ClassVar[str] = "rollouts"

    rollouts: int = Field(ge=1)
    prompts_per_rollout: int = Field(ge=1)
    samples_per_prompt: int = Field(ge=1)
    ppo_epochs: int = Field(ge=1)
    minibatch_size: int = Field(ge=1)
    device_batch_size: int | None = Field(default=None, ge=1)
    learning_rate: float = Field(gt=0)
    warmup_rollouts: int = Field(ge=0)
    min_lr_rate: float = Field(default=1.0, ge=0, le=1)
    clip_range: float = Field(gt=0, lt=1)
    center_scores: bool
    scale_rewards: bool
    kl_coef: float = Field(ge=0)
    missing_eos_penalty: float = Field(ge=0)
    max_grad_norm: float = Field(gt=0)
    checkpoints: CheckpointParams | None = None

    @property
    def episodes(self) -> int:
        """Replies per rollout."""
        return self.prompts_per_rollout * self.samples_per_prompt

    @property
    def rows_a_step(self) -> int:
        """Episodes of a rollout."""
        return self.episodes

    @property
    def rows_at_once(self) -> int:
        """Replies on the device at a time while it learns."""
        return min(self.device_batch_size or self.minibatch_size, self.minibatch_size)

    def steps(self, comparisons: int) -> int:
        """Return the number of rollouts, however many comparisons there are."""
        return self.rollouts

    @property
    def steps_per_rollout(self) -> int:
        """Optimiser steps per rollout."""
        return self.ppo_epochs * -(-self.episodes // self.minibatch_size)

    @property
    def warmup_steps(self) -> int:
        """Optimiser steps of the warm-up."""
        return self.warmup_rollouts * self.steps_per_rollout

    @property
    def slows_down(self) -> bool:
        """Whether the learning rate falls after the warm-up, which then depends on the number of rollouts."""
        return self.min_lr_rate < 1 and self.warmup_rollouts < self.rollouts

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.minibatch_size % self.rows_at_once:
            raise ValueError(
                f"device_batch_size must divide minibatch_size, got {self.device_batch_size} and "
                f"{self.minibatch_size}: change one of them"
            )
        if self.minibatch_size > self.episodes:
            raise ValueError(
                f"minibatch_size={self.minibatch_size} is larger than a rollout of {self.episodes} replies "
                f"(prompts_per_rollout * samples_per_prompt); lower it or collect more"
            )
        return self
