"""The parameters of teaching."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat

from cai_kedro.engines.base import Sampling
from cai_kedro.englishworld.lessons import COMPARED, MIX
from cai_kedro.learning.lessons import LessonParams
from cai_kedro.models.adapters import AdapterParams


class Phase(BaseModel):
    """How many lessons are drawn, and how often each occurs: lesson → weight; null as `englishworld.lessons.MIX`.

    All comparisons ask for less; or for `both`, and then each is learnt together with its contrary, a further row.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(ge=1)
    polarity: Literal["less", "both"]
    mix: dict[str, NonNegativeFloat] | None


class MadeLessons(BaseModel):
    """The lessons in the order in which they are learnt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_length: float = Field(ge=0, le=1, description="share of answers that are as long as a chat model's")
    phases: list[Phase] = Field(min_length=1)

    @property
    def rows(self) -> int:
        """How many rows that makes, contraries included, in the mean."""
        return sum(round(phase.count * (1 + _contraries(phase))) for phase in self.phases)


def _contraries(phase: Phase) -> float:
    mix = phase.mix or MIX
    return sum(mix.get(name, 0.0) for name in COMPARED) / sum(mix.values()) if phase.polarity == "both" else 0.0


class Measured(BaseModel):
    """How many items each skill is measured on: at the start and the end, and at the steps between.

    Of free English null takes all. `sampling` is that of critiques, revisions and replies.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    held_out: int = Field(ge=1)
    held_out_along: int = Field(ge=1)
    free: int | None = Field(ge=1)
    free_along: int = Field(ge=1)
    sampling: Sampling


class TeachingParams(BaseModel):
    """What of the model is trained, and how: whole, or an adapter, on all layers or on the upper ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    training: AdapterParams = Field(description="whatever `training` of the run says")
    upper_layers: int | None = Field(ge=1, description="blocks, counted from the top, that get an adapter; null: all")
    fine_tuning: LessonParams
