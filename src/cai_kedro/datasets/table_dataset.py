"""Tables of a known kind, in Parquet."""

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from kedro.io import DatasetError, Version

from cai_kedro.core.schemas import SCHEMAS, check_table
from cai_kedro.datasets.arrow import from_arrow, to_arrow
from cai_kedro.datasets.versioned import LocalVersionedDataset


class TableDataset(LocalVersionedDataset[pd.DataFrame, pd.DataFrame]):
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

    def load(self) -> pd.DataFrame:
        """Return the table; raises `DatasetError` that names file and kind if it is not one of this kind."""
        path = Path(self._get_load_path())
        try:
            table = from_arrow(pq.read_table(path, page_checksum_verification=True))
        except (pa.ArrowInvalid, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise DatasetError(
                f"{path} cannot be read as Parquet, where a {self._kind} table was expected: {error}. It is damaged or "
                f"no such file; remove this version and make it again"
            ) from error
        return self._checked(table, path)

    def save(self, data: pd.DataFrame) -> None:
        """Check the table and write it; raises `DatasetError` that names file and kind and writes nothing if bad."""
        if not isinstance(data, pd.DataFrame):
            raise DatasetError(f"{self._filepath} takes a {self._kind} table (DataFrame), got {type(data).__name__}")
        self._write(data)

    def _write(self, table: pd.DataFrame) -> None:
        arrow = to_arrow(self._checked(table, self._filepath))
        with self._writing() as path:
            pq.write_table(arrow, path, write_page_checksum=True)

    def _checked(self, table: pd.DataFrame, path: os.PathLike[str]) -> pd.DataFrame:
        try:
            return check_table(self._kind, table)
        except ValueError as error:
            raise DatasetError(f"{os.fspath(path)}: {error}") from error

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "kind": self._kind}
