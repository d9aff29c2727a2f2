"""What all arms share, and where one arm differs."""

import difflib
from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, ValidationInfo, field_validator

from cai_kedro.core.lineage import Lineage, Reward
from cai_kedro.core.worked_examples import ComparisonShots
from cai_kedro.learning.preference import PreferenceParams
from cai_kedro.learning.rl import ALGORITHMS, AlgorithmParams, RLParams, algorithm_of, check_field

#: What an arm learns from in the end: scores of a preference model, the labeller's judgement, or comparisons alone.
Teacher = Literal["preference_model", "judge", "comparisons"]


class ComparisonParams(BaseModel):
    """How the comparison tables of an arm are mixed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limits: dict[str, int] = Field(description="table → at most so many of its comparisons; not named: all")


class LabelParams(BaseModel):
    """When labels by a model are good enough to train on, those of each source and objective by themselves."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_spread: float = Field(ge=0, le=0.5, description="standard deviation of the labels before their clamp")
    max_contradictions: float = Field(
        ge=0, le=1, description="share of the pairs decided by the order of their options"
    )


class GateParams(BaseModel):
    """When a preference model is good enough for RL, for each objective; measured on comparisons not trained on.

    Below, there is no RL, and the arm keeps its start policy.
    An algorithm that learns from comparisons alone has no such model and no gate; it never sees those held out either.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    held_out_share: float = Field(gt=0, lt=1, description="share of the prompts")
    min_accuracy: float = Field(ge=0, le=1, description="on each objective by itself; 0: no gate")
    batch_size: int = Field(ge=1, description="answers scored at once")


class JudgeParams(BaseModel):
    """How the labeller rewards replies, in the arms whose reward it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    few_shots: ComparisonShots = Field(description="how many worked comparisons stand in front")
    max_log_odds: float = Field(gt=0, description="of a reply against the reference, clamped to ± this")


class PromptParams(BaseModel):
    """How many prompts of each kind RL draws from; null for all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    red_team: int | None = Field(ge=1)
    helpful: int | None = Field(ge=1)


class SnapshotParams(BaseModel):
    """Which policy along an RL run is kept. Nothing here asks a judge."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep: Literal["best", "last"] = Field(description="best: within the limits, as metrics/over_optimisation.py says")
    prompts: int | None = Field(ge=2, description="of the prompts of RL, answered by every snapshot; null for all")
    max_kl: float = Field(gt=0, description="nats from the start policy")
    min_eos_rate: float = Field(ge=0, le=1)
    min_distinct: float = Field(ge=0, description="distinct word pairs, as a share of the start policy's")
    max_evasive_rise: float = Field(ge=0, le=1, description="evasive replies above the start policy's")
    max_repeated_rise: float = Field(
        ge=0, le=1, description="sentences said twice in a reply, above the start policy's"
    )
    max_alike_rise: float = Field(ge=0, le=1, description="replies that begin alike, above the start policy's")
    min_length: float = Field(ge=0, le=1, description="mean length of a reply, as a share of the start policy's")
    max_length: float = Field(ge=1, description="the same, at most")
    n_bootstrap: int = Field(ge=100)


class _Blocks(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    comparisons: ComparisonParams
    labels: LabelParams
    preference: PreferenceParams
    gate: GateParams
    judge: JudgeParams
    prompts: PromptParams
    snapshots: SnapshotParams


class RLHFParams(_Blocks):
    """The parameters that all arms share (`params:rlhf`); `rl` has a block for each algorithm."""

    rl: RLParams


class ArmSettings(_Blocks):
    """The parameters of one arm; `rl` is of the algorithm that it learns by."""

    rl: AlgorithmParams


class ArmParams(BaseModel):
    """One arm: the name that its metrics and data sets bear, its algorithm, and where it differs from `params:rlhf`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    algorithm: str = Field(description="a block of rlhf.rl")
    reward: Reward = Field(default="preference_model", description="of an algorithm that learns from its own replies")
    differences: dict[str, dict[str, Any]] = Field(
        description="block of RLHFParams → parameter → value; rl: of its algorithm, ppo: of PPO, where that is it"
    )

    @classmethod
    def of(cls, name: str, lineage: Lineage) -> "ArmParams":
        """Return what the lineage says of an arm; raises pydantic's `ValidationError` for what is not there."""
        policy = lineage.named[name]
        return cls(
            name=name, algorithm=lineage.algorithm_of(name), reward=policy.reward, differences=policy.differences
        )

    @property
    def teacher(self) -> Teacher:
        """What the arm learns from."""
        return "comparisons" if algorithm_of(self.algorithm).learns_from == "comparisons" else self.reward

    @property
    def has_preference_model(self) -> bool:
        """Whether the algorithm learns against a preference model."""
        return self.teacher == "preference_model"

    @field_validator("algorithm")
    @classmethod
    def _algorithm_is_known(cls, algorithm: str) -> str:
        algorithm_of(algorithm)
        return algorithm

    @field_validator("reward")
    @classmethod
    def _reward_is_of_replies(cls, reward: Reward, info: ValidationInfo) -> Reward:
        name = info.data.get("algorithm")
        if reward == "judge" and name is not None and algorithm_of(name).learns_from == "comparisons":
            drawing = [other for other, kind in ALGORITHMS.items() if kind.learns_from == "replies"]
            raise ValueError(
                f"{name} learns from comparisons and draws no replies that the labeller could reward; take "
                f"{', '.join(drawing)}, or take reward: judge away and name comparisons"
            )
        return reward

    @field_validator("differences")
    @classmethod
    def _differences_are_known(
        cls, differences: dict[str, dict[str, Any]], info: ValidationInfo
    ) -> dict[str, dict[str, Any]]:
        for block, changes in differences.items() if "algorithm" in info.data else ():
            _check_known(block, [*RLHFParams.model_fields, *ALGORITHMS], "blocks of rlhf")
            learner = info.data["algorithm"] if block == "rl" else block
            of_algorithm = learner in ALGORITHMS
            model: Any = algorithm_of(learner) if of_algorithm else RLHFParams.model_fields[block].annotation
            for name, value in changes.items():
                if of_algorithm:
                    check_field(model, name)
                else:
                    _check_known(name, model.model_fields, f"parameters of rlhf.{block}")
                field = model.model_fields[name]
                _check_type(f"{block}.{name}", Annotated[field.annotation, field], value)
        return differences


def _check_known(name: str, known: Collection[str], what: str) -> None:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "see conf/base/parameters_rlhf.yml"
        raise ValueError(f"{name!r} is not among the {what} ({', '.join(known)}); {hint}")


def _check_type(name: str, kind: Any, value: Any) -> None:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        fault = error.errors()[0]
        raise ValueError(f"{name}: {fault['msg'][0].lower()}{fault['msg'][1:]}, got {value!r}; correct it") from error


def parameters_of(arm: ArmParams, shared: RLHFParams) -> ArmSettings:
    """Return the shared parameters with the arm's differences in place; raises `ValueError` if they do not fit."""
    blocks = shared.model_dump()
    blocks["rl"] = blocks["rl"][arm.algorithm]
    changed = {name: {**blocks[name], **arm.differences.get(name, {})} for name in blocks}
    changed["rl"] |= arm.differences.get(arm.algorithm, {})
    return ArmSettings(**{**changed, "rl": algorithm_of(arm.algorithm).model_validate(changed["rl"])})


def arms_with_preference_model(lineage: Lineage) -> tuple[str, ...]:
    """Return the arms whose algorithm learns against a preference model, in order."""
    return tuple(arm for arm in lineage.arms if ArmParams.of(arm, lineage).has_preference_model)


def step_unit(lineage: Lineage) -> str:
    """Return what a step of the arms' snapshots is: `rollouts`, and of whom it is something else."""
    units: dict[str, list[str]] = {}
    for arm in lineage.arms:
        units.setdefault(algorithm_of(lineage.algorithm_of(arm)).step_unit, []).append(arm)
    (first, *_), others = units or {"rollouts": []}, list(units.items())[1:]
    return "; ".join([first, *(f"of {', '.join(arms)}: {unit}" for unit, arms in others)])
