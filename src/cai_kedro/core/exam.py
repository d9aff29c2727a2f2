"""What policies are examined with: the axes, and who is there to decide."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cai_kedro.core.axes import Axes

#: The kind of an entry of the catalog that stands for nobody.
NOBODY = "none"


@dataclass(frozen=True)
class Exam:
    """The axes, and which entries of the catalog are there: who judges answers, who decides, who rates as people."""

    axes: Axes
    judge: bool = True
    referee: bool = True
    raters: bool = True


def is_there(catalog: Mapping[str, Any], name: str | None) -> bool:
    """Tell whether an entry of the catalog is somebody: it is not missing, null or of kind `none`."""
    entry = catalog.get(name) if name else None
    return entry is not None and entry.get("kind") not in (None, NOBODY)
