"""Small tables to read in any editor or spreadsheet."""

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from pandas.api.types import is_numeric_dtype

from cai_kedro.core.text import for_spreadsheet, from_spreadsheet
from cai_kedro.datasets.file_dataset import FileDataset


class CsvDataset(FileDataset[pd.DataFrame, pd.DataFrame]):
    """A table without an index. Text that a spreadsheet would take for a formula stands behind an apostrophe."""

    def _format(self) -> str:
        return "CSV"

    def _encode(self, data: pd.DataFrame) -> bytes:
        return as_csv(data).encode()

    def _decode(self, content: bytes, path: Path) -> pd.DataFrame:
        # only an empty cell is missing: a policy may be called "null" or "NA"
        return _each_text(pd.read_csv(io.BytesIO(content), keep_default_na=False, na_values=[""]), from_spreadsheet)


def as_csv(table: pd.DataFrame) -> str:
    """Return a table as CSV in which no cell is a formula."""
    return _each_text(table, for_spreadsheet).to_csv(index=False)


def _each_text(table: pd.DataFrame, change: Callable[[object], object]) -> pd.DataFrame:
    texts = [name for name in table.columns if not is_numeric_dtype(table[name])]
    return table.assign(**{name: table[name].map(change, na_action="ignore") for name in texts})
