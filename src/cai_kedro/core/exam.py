"""What policies are examined with: the axes, and who is there to decide."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cai_kedro.core.axes import REFEREE, Axes

#: The kind of an entry of the catalog that stands for nobody.
NOBODY = "none"


@dataclass(frozen=True)
class Exam:
    """The axes, and which entries of the catalog are there: who judges answers, who decides, who rates as people.

    `referees` are those that are there of the entries that the axes name.
    """

    axes: Axes
    judge: bool = True
    referees: frozenset[str] = frozenset({REFEREE})
    raters: bool = True

    @property
    def deciders(self) -> dict[str, list[str]]:
        """Return the entries that decide head-to-heads, each with its axes."""
        return {entry: axes for entry, axes in self.axes.deciders.items() if entry in self.referees}

    @property
    def undecided(self) -> dict[str, list[str]]:
        """Return the entries that axes name and that are nobody, each with its axes."""
        return {entry: axes for entry, axes in self.axes.deciders.items() if entry not in self.referees}


def is_there(catalog: Mapping[str, Any], name: str | None) -> bool:
    """Tell whether an entry of the catalog is somebody: it is not missing, null or of kind `none`."""
    entry = catalog.get(name) if name else None
    return entry is not None and entry.get("kind") not in (None, NOBODY)


def referee_called(entry: str) -> str:
    """Return how a message calls a referee: by its entry, where it is not the one of all axes."""
    return "the referee" if entry == REFEREE else f"the referee {entry!r}"
