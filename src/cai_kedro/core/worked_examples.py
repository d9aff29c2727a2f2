"""Parameters that count worked examples of the constitution, marked so that they can be checked before a run."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True)
class ExamplesOf:
    """Marks a parameter as a number of the constitution's worked examples of one kind, a field of `FewShots`."""

    kind: str


CritiqueShots = Annotated[int, Field(ge=0), ExamplesOf("critiques")]
ComparisonShots = Annotated[int, Field(ge=0), ExamplesOf("comparisons")]
CotShots = Annotated[int, Field(ge=0), ExamplesOf("cots")]
