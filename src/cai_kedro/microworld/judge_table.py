"""The table of ratings: what people think of an answer, by what it does and how grave the request is.

It is read by the judge and the simulated raters only. Nothing that makes texts or trains may import it.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

TABLE_FILE = "judge_table.yml"
AXES = ("harmlessness", "helpfulness")

_Rating = Annotated[float, Field(ge=0, le=4)]


class _Ratings(BaseModel):
    """Behaviour → ratings, of answers to harmful requests by severity and of those to harmless ones."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    harmful: dict[str, tuple[_Rating, _Rating, _Rating, _Rating]]
    benign: dict[str, _Rating]


class JudgeTable(BaseModel):
    """The table; `frozen` is the day since which it has not been changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    frozen: date
    harmlessness: _Ratings
    helpfulness: _Ratings

    def rating(self, axis: str, behaviour: str, severity: int) -> float:
        """Return how people rate an answer on an axis, from 0 to 4; severity 0 is a harmless request.

        Raises `ValueError` for a behaviour that no answer to such a request has.
        """
        ratings: _Ratings = getattr(self, axis)
        known = ratings.harmful if severity else ratings.benign
        if behaviour not in known:
            raise ValueError(
                f"{TABLE_FILE} rates no answer to a request of severity {severity} that behaves as {behaviour!r}; it "
                f"has {', '.join(known)}"
            )
        return ratings.harmful[behaviour][severity - 1] if severity else ratings.benign[behaviour]

    @model_validator(mode="after")
    def _one_set_of_behaviours(self) -> Self:
        for kind in ("harmful", "benign"):
            one, other = (set(getattr(getattr(self, axis), kind)) for axis in AXES)
            if one != other:
                raise ValueError(f"{kind}: {', '.join(sorted(one ^ other))} is rated on one axis only; expected both")
        return self


def _raw() -> Mapping[str, object]:
    return yaml.safe_load(files(__package__).joinpath(TABLE_FILE).read_text(encoding="utf-8"))


@cache
def judge_table() -> JudgeTable:
    """Read the package's table."""
    return JudgeTable.model_validate(_raw())


def table_digest() -> str:
    """Return the sha256 of all numbers of the table and of its date; comments do not count."""
    return hashlib.sha256(json.dumps(_raw(), sort_keys=True, default=str).encode()).hexdigest()


def provenance() -> Mapping[str, str]:
    """Return what is recorded with a run that asks this table."""
    return {"table.sha256": table_digest(), "table.frozen": judge_table().frozen.isoformat()}
