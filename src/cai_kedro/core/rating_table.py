"""A table of what people think of an answer, by what it does and how grave the request is: the truth of a world.

Each world has one, which its judge and its simulated raters alone read.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from importlib.resources.abc import Traversable
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

AXES = ("harmlessness", "helpfulness")

_Rating = Annotated[float, Field(ge=0, le=4)]


class _Ratings(BaseModel):
    """Behaviour → ratings, of answers to harmful requests by severity and of those to harmless ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    harmful: dict[str, tuple[_Rating, _Rating, _Rating, _Rating]]
    benign: dict[str, _Rating]


class RatingTable(BaseModel):
    """The table; `frozen` is the day since which it has not changed, `sha256` a digest of all numbers and that day."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    frozen: date
    harmlessness: _Ratings
    helpfulness: _Ratings
    sha256: str

    def rating(self, axis: str, behaviour: str, severity: int) -> float:
        """Return how people rate an answer on an axis, from 0 to 4; severity 0 is a harmless request.

        Raises `ValueError` for a behaviour that no answer to such a request has.
        """
        ratings: _Ratings = getattr(self, axis)
        known = ratings.harmful if severity else ratings.benign
        if behaviour not in known:
            raise ValueError(
                f"the table of ratings has no answer to a request of severity {severity} that behaves as "
                f"{behaviour!r}; it has {', '.join(known)}"
            )
        return ratings.harmful[behaviour][severity - 1] if severity else ratings.benign[behaviour]

    def provenance(self) -> Mapping[str, str]:
        """Return what is recorded with a run that asks this table."""
        return {"table.sha256": self.sha256, "table.frozen": self.frozen.isoformat()}

    @model_validator(mode="after")
    def _one_set_of_behaviours(self) -> Self:
        for kind in ("harmful", "benign"):
            one, other = (set(getattr(getattr(self, axis), kind)) for axis in AXES)
            if one != other:
                raise ValueError(f"{kind}: {', '.join(sorted(one ^ other))} is rated on one axis only; expected both")
        return self


def read_rating_table(file: Traversable) -> RatingTable:
    """Read a table from YAML; comments do not count in the digest. Raises `ValueError` for one that does not fit."""
    raw = yaml.safe_load(file.read_text(encoding="utf-8"))
    digest = hashlib.sha256(json.dumps(raw, sort_keys=True, default=str).encode()).hexdigest()
    return RatingTable.model_validate({**raw, "sha256": digest})
