"""Small tables to read in any editor or spreadsheet."""

import io
from pathlib import Path

import pandas as pd

from cai_kedro.core.csv_text import as_csv, from_csv_cells
from cai_kedro.datasets.file_dataset import FileDataset


class CsvDataset(FileDataset[pd.DataFrame, pd.DataFrame]):
    """A table without an index. Text that a spreadsheet would take for a formula stands behind an apostrophe."""

    def _format(self) -> str:
        return "CSV"

    def _encode(self, data: pd.DataFrame) -> bytes:
        return as_csv(data).encode()

    def _decode(self, content: bytes, path: Path) -> pd.DataFrame:
        # only an empty cell is missing: a policy may be called "null" or "NA"
        return from_csv_cells(pd.read_csv(io.BytesIO(content), keep_default_na=False, na_values=[""]))
