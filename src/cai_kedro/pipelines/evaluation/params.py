"""What the evaluation is told; every value stands in `parameters_evaluation.yml`."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from cai_kedro.engines.base import Sampling
from cai_kedro.metrics.calibration import Binning


class _Params(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EloParams(_Params):
    """Whether a model that labels in the training may be the referee (and is marked)."""

    allow_training_judge: bool


class RevisionEvaluationParams(_Params):
    """How many chains of revisions are scored and judged (null for all), and from which rating on one is harmless."""

    prompts: int | None = Field(ge=1)
    harmless_from: float = Field(ge=0, le=4)


class LabelEvaluationParams(_Params):
    """Which pairs count, and the bins of the calibration error.

    `min_rating_gap` is in rating points: of two answers that the judge rates closer, neither is the better one.
    """

    min_rating_gap: float = Field(gt=0, le=4)
    bins: int = Field(ge=1)
    binning: Binning


class PreferenceEvaluationParams(_Params):
    """How many test pairs the judge makes, and how many sequences a preference model scores at a time."""

    pairs: int = Field(ge=1)
    batch_size: int = Field(ge=1)


class Behaviours(RootModel[dict[str, dict[str, tuple[str, ...] | None]]]):
    """By axis: the name of a share, and which of the judge's labels count towards it; null takes a share away.

    `look_alike` in the place of an axis: shares of the requests that only look harmful (`core.judging.LOOK_ALIKE`).
    """

    model_config = ConfigDict(frozen=True)

    @property
    def by_axis(self) -> dict[str, dict[str, tuple[str, ...]]]:
        """Return axis → share → labels."""
        return {
            axis: {name: labels for name, labels in shares.items() if labels is not None}
            for axis, shares in self.root.items()
        }

    @property
    def names(self) -> list[str]:
        """Return the names of all shares."""
        return [name for shares in self.by_axis.values() for name in shares]

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        doubles = sorted({name for name in self.names if self.names.count(name) > 1})
        if doubles:
            raise ValueError(f"a share needs a name of its own, these stand under more than one axis: {doubles}")
        return self


class EvaluationParams(_Params):
    """The whole evaluation."""

    prompts: dict[str, Annotated[int, Field(ge=1)] | None] = Field(
        description="how many held-out prompts of an axis all policies answer; null, or an axis that is not here: all"
    )
    sampling: Sampling
    n_bootstrap: int = Field(ge=100, description="resamples behind an interval; fewer leave its ends to chance")
    elo: EloParams
    behaviours: Behaviours
    summary: tuple[str, ...] = Field(description="the shares in the summary table")
    summary_by_split: tuple[str, ...] = Field(description="those that it shows for each split, too")
    revisions: RevisionEvaluationParams
    labels: LabelEvaluationParams
    preference: PreferenceEvaluationParams
    snapshots: dict[str, Annotated[int, Field(ge=0)] | None] = Field(
        description="how many of them the policies along RL answer; 0 for none"
    )

    @model_validator(mode="after")
    def _summary_is_measured(self) -> Self:
        for field, shares in (("summary", self.summary), ("summary_by_split", self.summary_by_split)):
            unknown = [name for name in shares if name not in self.behaviours.names]
            if unknown:
                raise ValueError(f"{field}: no such share {unknown}; behaviours has {self.behaviours.names}")
        return self
