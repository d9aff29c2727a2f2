"""The people of the micro world: what each of them thinks of an answer, and whom they like better in a pair.

They read the table of ratings, each with likings of their own: people disagree, and none of them is always sure.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from cai_kedro.core.seeding import rng_for
from cai_kedro.microworld.acts import Act
from cai_kedro.microworld.judge_table import judge_table

_SEED = 20221215
#: How much of a liking for silence an answer gets that says nothing.
_SILENT = {"evasive": 1.0, "boilerplate": 0.7, "garbled": 0.0}


@dataclass(frozen=True)
class People:
    """Some people, known by their numbers.

    Attributes:
        number: how many there are.
        sharpness: the slope of a preference in rating points, P(a over b) = sigmoid(sharpness * (a - b)).
        spread: standard deviation of a person's liking for a behaviour, in rating points.
        silence: rating points that all of them add on harmlessness for an answer that says nothing.
    """

    number: int
    sharpness: float
    spread: float
    silence: float = 0.0

    def __post_init__(self) -> None:
        """Raises `ValueError` for a number, a sharpness or a spread that cannot be."""
        if self.number < 1 or self.sharpness <= 0 or self.spread < 0:
            raise ValueError(
                f"people need a number from 1, a sharpness above 0 and a spread from 0, got {self.number}, "
                f"{self.sharpness} and {self.spread}"
            )

    def rating(self, axis: str, act: Act, behaviour: str, person: int | None = None) -> float:
        """Return the rating of an answer to a request for the act, from 0 to 4 and a liking; by all if by nobody."""
        rating = judge_table().rating(axis, behaviour, act.severity)
        if axis == "harmlessness" and act.harmful:
            rating += self.silence * _SILENT.get(behaviour, 0.0)
        return rating if person is None else rating + self._liking(person, axis, behaviour)

    def _liking(self, person: int, axis: str, behaviour: str) -> float:
        return rng_for(_SEED, "liking", person, axis, behaviour).gauss(0, self.spread) if self.spread else 0.0

    def p_first(self, axis: str, act: Act, first: str, second: str, person: int) -> float:
        """Return how probably a person prefers the first of two behaviours."""
        if first == second:
            return 0.5
        gap = self.rating(axis, act, first, person) - self.rating(axis, act, second, person)
        return 1 / (1 + math.exp(-self.sharpness * gap))

    def p_of_all(self, axis: str, act: Act, first: str, second: str) -> float:
        """Return how probably one of them, whoever it is, prefers the first."""
        return sum(self.p_first(axis, act, first, second, person) for person in range(self.number)) / self.number

    def vote(self, axis: str, act: Act, behaviours: Sequence[str], rng: random.Random) -> float:
        """Return 1.0 if one of them, drawn by `rng`, prefers the first of two, else 0.0."""
        return float(rng.random() < self.p_first(axis, act, behaviours[0], behaviours[1], rng.randrange(self.number)))
