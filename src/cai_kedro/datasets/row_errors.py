"""What can be wrong with one row of a file."""

from collections.abc import Mapping
from typing import Any

Row = Mapping[str, Any]


class RowError(ValueError):
    """What is wrong with one row, what was expected, and what to do."""


class IrregularRowError(RowError):
    """A row that is whole, but that the method has no use for. Public data hold some; a reader may leave them out."""
