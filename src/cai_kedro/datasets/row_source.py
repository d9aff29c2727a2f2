"""Where rows come from: a file or a data set of the hub, and what its columns are called there."""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from kedro.io import DatasetError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cai_kedro.datasets.entry_faults import entry_faults
from cai_kedro.datasets.hub_rows import HubData
from cai_kedro.datasets.row_errors import Row, RowError
from cai_kedro.datasets.row_files import Rows, is_text, place_of, rows_of


class RowSource(BaseModel):
    """One file or one data set of the hub.

    Attributes:
        filepath: `.jsonl`, `.json` (a list), `.csv` or `.parquet`; the texts also as `.gz`.
        hub: the data set, in place of a file.
        columns: our name of a column → the source's; `a.b` is the field b of the column a, null is not read.
        faulty_rows: whether a row that cannot be read stops the run or is left out and counted. Without it, files that
            a person can edit stop it, and of Parquet and the hub such rows are left out.
        where: column → the value, or a list of the values, that a row must have there; without it all rows are taken.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: The columns that a reader knows; `columns` may name no others.
    READ: ClassVar[tuple[str, ...]] = ()

    filepath: Path | None = None
    hub: HubData | None = None
    columns: Mapping[str, str | None] = Field(default_factory=dict)
    faulty_rows: Literal["refuse", "leave_out"] | None = None
    where: Mapping[str, Any] = Field(default_factory=dict)

    @classmethod
    def of(cls, **settings: Any) -> Self:
        """Return the source; raises `DatasetError` for settings that are none."""
        try:
            return cls.model_validate({key: value for key, value in settings.items() if value is not None})
        except ValidationError as error:
            raise DatasetError(f"the source of the rows: {entry_faults(error)}; correct the entry") from None

    @model_validator(mode="after")
    def _is_one_source(self) -> Self:
        if (self.filepath is None) == (self.hub is None):
            raise ValueError("expected either `filepath` or `hub`")
        if self.filepath is not None and "://" in str(self.filepath).replace(":/", "://", 1):
            raise ValueError(f"files are read from local or mounted disks, got the URL {self.filepath}")
        for name in self.columns:
            if self.READ and name not in self.READ:
                near = difflib.get_close_matches(name, self.READ, n=1) or self.READ
                raise ValueError(
                    f"`columns` goes from our names to those of the source, and {name!r} is none of ours; did you mean "
                    f"{' or '.join(near)}?"
                )
        return self

    @property
    def title(self) -> str:
        """What messages call it."""
        return str(self.filepath) if self.hub is None else self.hub.title

    @property
    def place(self) -> str:
        """What the number of a row counts: `line` or `row`."""
        return "row" if self.filepath is None else place_of(self.filepath)

    @property
    def leaves_out(self) -> bool:
        """Whether a row that cannot be read is left out."""
        editable = self.filepath is not None and is_text(self.filepath)
        return (self.faulty_rows or ("refuse" if editable else "leave_out")) == "leave_out"

    def rows(self, needed: Sequence[str]) -> Rows:
        """Give the rows as they stand there, each by its place; `a|b` in `needed` are columns of which one must be."""

        def check_names(where: str, names: Sequence[str]) -> None:
            self._check_names(where, names, needed)

        if self.hub is not None:
            return self.hub.rows(check_names)
        assert self.filepath is not None
        return rows_of(self.filepath, check_names)

    def renamed(self, row: Row) -> tuple[Row, set[str]]:
        """Return the row under our names, and which of `columns` were there."""
        if not self.columns:
            return row, set()
        taken = {
            source.partition(".")[0] if source not in row else source for source in self.columns.values() if source
        }
        found = {name: value_at(row, source) for name, source in self.columns.items() if source}
        there = {name: value for name, value in found.items() if value is not None}
        rest = {name: value for name, value in row.items() if name not in self.columns and name not in taken}
        return {**rest, **there}, set(there)

    def is_wanted(self, row: Row) -> bool:
        """Tell whether a row, under our names, has what `where` asks for; raises `RowError` without such a column."""
        for column, wanted in self.where.items():
            if row.get(column) is None:
                raise RowError(f"misses the column {column!r} that `where` asks for, it has {sorted(row)}")
            values = wanted if isinstance(wanted, list | tuple) else [wanted]
            if not any(row[column] == value and type(row[column]) is type(value) for value in values):
                return False
        return True

    def _check_names(self, where: str, names: Sequence[str], needed: Sequence[str]) -> None:
        if not any(names):
            raise ValueError(
                f"{where} is empty; expected a file with the columns {', '.join(needed).replace('|', ' or ')}"
            )
        for alternatives in needed:
            ours = alternatives.split("|")
            theirs = [self.columns.get(name, name) for name in ours]
            if not any(name and (name in names or name.partition(".")[0] in names) for name in theirs):
                others = f" (or {', '.join(map(repr, ours[1:]))})" if ours[1:] else ""
                raise ValueError(
                    f"{where}: the column {theirs[0] or ours[0]!r}{others} is missing, the columns are {list(names)}; "
                    f"add or rename one, or name it in the entry's `columns`"
                )


def value_at(row: Row, source: str) -> Any:
    """Return the value of a column, or of a field inside it (`a.b`); None where there is none."""
    if source in row:
        return row[source]
    value: Any = row
    for key in source.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
