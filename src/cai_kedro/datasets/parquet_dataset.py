"""Tables of no known kind, in Parquet."""

import io
from pathlib import Path

import pandas as pd

from cai_kedro.datasets.file_dataset import FileDataset


class ParquetDataset(FileDataset[pd.DataFrame, pd.DataFrame]):
    """A table whose columns nobody checks; one of a known kind is a `TableDataset`."""

    def _format(self) -> str:
        return "Parquet"

    def _encode(self, data: pd.DataFrame) -> bytes:
        return data.to_parquet()

    def _decode(self, content: bytes, path: Path) -> pd.DataFrame:
        return pd.read_parquet(io.BytesIO(content))
