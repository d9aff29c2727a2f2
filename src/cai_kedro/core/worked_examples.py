"""Parameters that count worked examples of the constitution, and what happens where it has fewer."""

import logging
from dataclasses import dataclass
from functools import cache
from typing import Annotated

from pydantic import Field

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExamplesOf:
    """Marks a parameter as a number of the constitution's worked examples of one kind, a field of `FewShots`."""

    kind: str


CritiqueShots = Annotated[int, Field(ge=0), ExamplesOf("critiques")]
ComparisonShots = Annotated[int, Field(ge=0), ExamplesOf("comparisons")]
CotShots = Annotated[int, Field(ge=0), ExamplesOf("cots")]


def as_many_as_there_are(wanted: int, there: int, kind: str) -> int:
    """Return how many examples to show: those that are wanted, or all there are, of which one warning tells."""
    if wanted > there:
        _warn(wanted, there, kind)
    return min(wanted, there)


@cache
def _warn(wanted: int, there: int, kind: str) -> None:
    logger.warning("%d worked %s are asked for, the constitution has %d: %d are shown", wanted, kind, there, there)
