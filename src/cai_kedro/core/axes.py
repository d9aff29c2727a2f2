"""The axes on which policies are compared, such as harmlessness: data, in `conf/base/axes.yml`."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

#: A part of the names of metrics, whose parts are told apart by dots.
NAME = r"^[a-z][a-z0-9_]*$"

#: The entry of the catalog that decides head-to-heads on every axis that names no other.
REFEREE = "referee"

#: The two kinds of prompts that policies are trained on.
TrainingPrompts = Literal["red_team", "helpful"]


class Axis(BaseModel):
    """One axis: at which held-out prompts the policies are compared, and by which question.

    `prompts` is a table of kind `prompts` in the catalog. `question` is what a referee that is a language model is
    asked. `raters` is the entry of the catalog that decides the head-to-heads. `training_prompts` says which prompts of
    the training are about this axis, too: replies to them are rated on it (revisions, over-training).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompts: str = Field(min_length=1)
    question: str = Field(min_length=1)
    raters: str = Field(REFEREE, min_length=1)
    training_prompts: TrainingPrompts | None = None


class Axes(RootModel[dict[Annotated[str, Field(pattern=NAME)], Axis | None]]):
    """All axes by name, in the order of tables and figures; null takes away one that `conf/base` has."""

    model_config = ConfigDict(frozen=True)

    @property
    def measured(self) -> dict[str, Axis]:
        """Return the axes that are not null."""
        return {name: axis for name, axis in self.root.items() if axis is not None}

    @property
    def tables(self) -> list[str]:
        """Return the datasets of held-out prompts, each once."""
        return list(dict.fromkeys(axis.prompts for axis in self.measured.values()))

    @property
    def deciders(self) -> dict[str, list[str]]:
        """Return the entries of the catalog that decide head-to-heads, each with its axes."""
        entries = dict.fromkeys(axis.raters for axis in self.measured.values())
        return {entry: [name for name, axis in self.measured.items() if axis.raters == entry] for entry in entries}

    def of_training(self, prompts: TrainingPrompts) -> str | None:
        """Return the axis that a kind of training prompts is about, None if there is none."""
        return next((name for name, axis in self.measured.items() if axis.training_prompts == prompts), None)

    def held_out_of(self, prompts: TrainingPrompts) -> list[str]:
        """Return the datasets that a kind of training prompts is kept apart from, each once.

        Those are the prompts of its own axis and of all axes that no training is about.
        """
        own = self.of_training(prompts)
        tables = [axis.prompts for name, axis in self.measured.items() if name == own or axis.training_prompts is None]
        return list(dict.fromkeys(tables)) or self.tables

    @model_validator(mode="after")
    def _one_meaning(self) -> Self:
        if not self.measured:
            raise ValueError("there is no axis; expected one at least, see conf/base/axes.yml")
        kinds = [axis.training_prompts for axis in self.measured.values() if axis.training_prompts]
        doubles = sorted({kind for kind in kinds if kinds.count(kind) > 1})
        if doubles:
            raise ValueError(
                f"training_prompts: {doubles} stand under more than one axis; leave them out of the others"
            )
        return self
