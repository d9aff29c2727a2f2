"""Which lesson a pretraining is in: one ends when it is learned, or after as many steps as it may take.

When a skill appears differs from seed to seed and from size to size by hundreds of steps, and a lesson that builds on
one that is not there teaches nothing. So the loss of what decides says when to go on.
"""

from collections import deque
from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cai_kedro.microworld.documents import LESSON_MIX, Lesson

_WINDOW = 50  # steps


class LessonParams(BaseModel):
    """How long a lesson lasts: at least and at most so many steps, and in between until it is learned.

    It is learned when the mean loss was below `until` over the last 50 steps, of the letters of comparisons, or of all
    tokens that decide (`of`); `until` 0: it lasts `most` steps.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    least: int = Field(ge=0)
    most: int = Field(ge=0)
    until: float = Field(ge=0)
    of: Literal["decisions", "letters"] = "decisions"

    @model_validator(mode="after")
    def _in_order(self) -> "LessonParams":
        if self.least > self.most:
            raise ValueError(f"a lesson of at least {self.least} steps cannot end after {self.most}; raise `most`")
        return self


class Curriculum:
    """The lessons of a training in their order, and at which steps those so far have ended.

    All that follows the last lesson is `full`.
    """

    def __init__(self, lessons: Mapping[Lesson, LessonParams], ends: list[int] | None = None) -> None:
        """`ends` are those of a training that goes on."""
        self._lessons = [(name, lessons[name]) for name in LESSON_MIX if name in lessons and lessons[name].most > 0]
        self.ends = [] if ends is None else ends
        self._losses: deque[float] = deque(maxlen=_WINDOW)

    def lesson(self, step: int) -> Lesson:
        """Return the lesson that a step before, or just behind, what was observed is in."""
        passed = sum(end <= step for end in self.ends)
        return self._lessons[passed][0] if passed < len(self._lessons) else "full"

    def observe(self, step: int, losses: Mapping[str, float]) -> Lesson | None:
        """Take in the losses of `decisions` and `letters` at a step, where there are any.

        Returns the lesson that ends with this step, if one does.
        """
        if len(self.ends) >= len(self._lessons):
            return None
        name, params = self._lessons[len(self.ends)]
        if params.of in losses:
            self._losses.append(losses[params.of])
        taken = step - (self.ends[-1] if self.ends else 0)
        learned = len(self._losses) == _WINDOW and sum(self._losses) / _WINDOW < params.until
        if taken < params.most and not (learned and taken >= params.least):
            return None
        self.ends.append(step)
        self._losses.clear()
        return name

    @property
    def state(self) -> dict[str, list[float] | list[int]]:
        """What a checkpoint keeps."""
        return {"ends": list(self.ends), "losses": list(self._losses)}

    def restore(self, state: Mapping[str, list[float] | list[int]]) -> None:
        """Go on from what a checkpoint kept."""
        self.ends = [int(end) for end in state["ends"]]
        self._losses = deque((float(loss) for loss in state["losses"]), maxlen=_WINDOW)
