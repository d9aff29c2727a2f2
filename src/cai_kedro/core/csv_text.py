"""Tables as CSV that a spreadsheet opens without running any cell."""

from collections.abc import Callable

import pandas as pd
from pandas.api.types import is_numeric_dtype

from cai_kedro.core.text import for_spreadsheet, from_spreadsheet


def as_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV, without its index, in which no cell is a formula."""
    return _each_text(table, for_spreadsheet).to_csv(index=False)


def from_csv_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Take off what `as_csv` put in front of cells."""
    return _each_text(table, from_spreadsheet)


def _each_text(table: pd.DataFrame, change: Callable[[object], object]) -> pd.DataFrame:
    texts = [name for name in table.columns if not is_numeric_dtype(table[name])]
    changed = table.assign(**{name: table[name].map(change, na_action="ignore") for name in texts})
    return changed.rename(columns=change)
