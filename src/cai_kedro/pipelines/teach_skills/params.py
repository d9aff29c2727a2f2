"""The parameters of teaching."""

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat

from cai_kedro.engines.base import Sampling
from cai_kedro.learning.lessons import LessonParams
from cai_kedro.models.adapters import AdapterParams


class MadeLessons(BaseModel):
    """How many lessons are made, and how often each occurs: lesson → weight; null as `englishworld.lessons.MIX`.

    In the first `less_first` of them (a share) every comparison asks for less.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(ge=1)
    less_first: float = Field(ge=0, le=1)
    mix: dict[str, NonNegativeFloat] | None


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
