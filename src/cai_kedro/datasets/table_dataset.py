"""Tables of a known kind, in Parquet."""

import io
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
from kedro.io import DatasetError, Version

from cai_kedro.core.schemas import SCHEMAS, check_table
from cai_kedro.datasets.arrow import from_arrow, to_arrow
from cai_kedro.datasets.file_dataset import FileDataset


class TableDataset(FileDataset[pd.DataFrame, pd.DataFrame]):
    """A table whose columns are checked against its kind (`core.schemas`) when saved and when loaded.

    Messages come back as plain lists of `{role, content}`. The same table gives the same bytes.
    """

    def __init__(
        self,
        *,
        filepath: str | os.PathLike[str],
        kind: str,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Raises `DatasetError` for an unknown kind.

        Args:
            filepath: path of the Parquet file.
            kind: the last word of the table's name, a key of `SCHEMAS`.
            version: which version to load and to save; None if not versioned.
            metadata: for plugins such as kedro-viz.
        """
        super().__init__(filepath=filepath, version=version, metadata=metadata)
        if kind not in SCHEMAS:
            raise DatasetError(f"{filepath}: no table kind {kind!r}; the kinds are {', '.join(SCHEMAS)}")
        self._kind = kind

    def _format(self) -> str:
        return f"Parquet, where a {self._kind} table was expected"

    def _encode(self, data: pd.DataFrame) -> bytes:
        if not isinstance(data, pd.DataFrame):
            raise DatasetError(f"{self._filepath} takes a {self._kind} table (DataFrame), got {type(data).__name__}")
        buffer = io.BytesIO()
        pq.write_table(to_arrow(self._checked(data, self._filepath)), buffer, write_page_checksum=True)
        return buffer.getvalue()

    def _decode(self, content: bytes, path: Path) -> pd.DataFrame:
        return self._checked(from_arrow(pq.read_table(io.BytesIO(content), page_checksum_verification=True)), path)

    def _checked(self, table: pd.DataFrame, path: os.PathLike[str]) -> pd.DataFrame:
        try:
            return check_table(self._kind, table)
        except ValueError as error:
            raise DatasetError(f"{os.fspath(path)}: {error}") from error

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "kind": self._kind}
