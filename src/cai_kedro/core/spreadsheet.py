"""Tables as CSV that a spreadsheet may open: no cell of text is run as a formula."""

from collections.abc import Callable

import pandas as pd
from pandas.api.types import is_numeric_dtype

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


def as_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV; text that looks like a formula, or starts with an apostrophe, gets one in front."""
    return _each_text(table, _quoted).to_csv(index=False)


def unquoted(table: pd.DataFrame) -> pd.DataFrame:
    """Take off what `as_csv` put in front."""
    return _each_text(table, lambda cell: cell.removeprefix("'") if isinstance(cell, str) else cell)


def _quoted(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell


def _each_text(table: pd.DataFrame, change: Callable[[object], object]) -> pd.DataFrame:
    texts = [name for name in table.columns if not is_numeric_dtype(table[name])]
    return table.assign(**{name: table[name].map(change, na_action="ignore") for name in texts})
