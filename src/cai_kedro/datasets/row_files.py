"""Rows of files, in the formats that people have: JSON lines, a JSON list, CSV and Parquet.

A row is a mapping of column to value. `null` and an empty CSV cell are a column that is not there. Each reader gives
the place of every row and a function that reads it, which raises `RowError`. What is wrong with a whole file is a
`ValueError`.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from cai_kedro.core.strict_files import read_text, strict_json, with_plain_line_ends
from cai_kedro.datasets.row_errors import Row, RowError

Rows = Iterator[tuple[int, Callable[[], Row]]]
#: Told the columns that a file names in advance; raises `ValueError` where one is missing.
CheckNames = Callable[[str, Sequence[str]], None]

_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def is_text(path: Path) -> bool:
    """Tell whether a person can edit the file, and so correct a row of it."""
    return path.suffix != ".parquet"


def place_of(path: Path) -> str:
    """Return what the number of a row counts."""
    return "row" if path.name.removesuffix(".gz").endswith((".parquet", ".json")) else "line"


def rows_of(path: Path, check_names: CheckNames) -> Rows:
    """Give the rows of a file by its suffix: `.csv`, `.json` (a list) and `.parquet`; any other holds JSON lines."""
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        yield from _parquet_rows(path, check_names)
    elif name.endswith(".csv"):
        yield from _csv_rows(path, check_names)
    elif name.endswith(".json"):
        yield from _json_list(path)
    else:
        yield from _json_lines(path)


def _json_lines(path: Path) -> Rows:
    # cut at line ends only: `str.splitlines` would also cut at U+2028, which JSON allows inside a text
    for line, content in enumerate(with_plain_line_ends(read_text(path)).split("\n"), start=1):
        if content.strip(" \t"):
            yield line, lambda content=content: _json_row(content)  # type: ignore[misc]


def _json_row(line: str) -> Row:
    try:
        row = strict_json(line)
    except json.JSONDecodeError as error:
        raise RowError(f"is no JSON ({error.msg} at character {error.pos + 1}); write one object per line") from error
    except ValueError as error:
        raise RowError(str(error)) from error
    return _object(row)


def _json_list(path: Path) -> Rows:
    try:
        entries = strict_json(read_text(path))
    except ValueError as error:
        told = str(error)
        where = "" if told.startswith(str(path)) else f"{path} is no JSON: "
        raise ValueError(f"{where}{told}; a .json file holds one list of objects, JSON lines end on .jsonl") from error
    if not isinstance(entries, list):
        raise ValueError(f"{path} holds {type(entries).__name__}, expected a list of objects; JSON lines end on .jsonl")
    for number, entry in enumerate(entries, start=1):
        yield number, lambda entry=entry: _object(entry)  # type: ignore[misc]


def _object(row: object) -> Row:
    if not isinstance(row, dict):
        raise RowError(f"holds {type(row).__name__} where an object with named columns is expected")
    return row


def _parquet_rows(path: Path, check_names: CheckNames) -> Rows:
    if not path.is_file():
        raise ValueError(f"there is no file {path}; put one there or correct the path in the catalog")
    number = 0
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            names = file.schema_arrow.names
            _check_twice(str(path), names)
            check_names(str(path), names)
            for batch in file.iter_batches(batch_size=1000):
                for row in batch.to_pylist():
                    number += 1
                    yield number, lambda row=row: row  # type: ignore[misc]
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        told = " ".join(str(error).split())
        raise ValueError(
            f"{path} cannot be read behind row {number} ({told}); expected a Parquet file, fetch it again"
        ) from error


def _csv_rows(path: Path, check_names: CheckNames) -> Rows:
    records = _records(path, read_text(path))
    line, names = next(records, (1, []))
    names = [name.strip() for name in names]
    where = f"{path}, line {line}"
    if any(names):
        _check_twice(where, names)
        _check_separator(where, names)
    check_names(where if any(names) else str(path), names)
    for at, cells in records:
        yield at, lambda cells=cells: _csv_row(names, cells)  # type: ignore[misc]


def _records(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Give the cells of each record that is not blank, by its first line."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(
                f"{path}: the row that starts at line {start} is no CSV ({error}); close its quotes, write a quote "
                f"inside a quoted cell twice, or give the rows as JSON lines"
            ) from error
        if cells:
            yield start, cells


def _check_twice(where: str, names: Sequence[str]) -> None:
    twice = next((name for name, n in Counter(names).items() if n > 1 and name), None)
    if twice is not None:
        raise ValueError(f"{where}: the column {twice!r} is there twice, the columns are {list(names)}; rename one")


def _check_separator(where: str, names: Sequence[str]) -> None:
    separator = next((sign for sign in _SEPARATORS if sign in names[0]), None)
    if separator and len(names) == 1:
        raise ValueError(
            f"{where}: the columns are separated by {_SEPARATORS[separator]}, expected commas; save the file with "
            f"commas, or give the rows as JSON lines"
        )


def _csv_row(names: Sequence[str], cells: Sequence[str]) -> Row:
    if len(cells) != len(names):
        kind = "put quotes round a cell that holds a comma" if len(cells) > len(names) else "fill in what is missing"
        raise RowError(
            f"has {len(cells)} cells for {len(names)} columns ({', '.join(map(repr, names))}), the last is "
            f"{cells[-1][:40]!r}; {kind}"
        )
    # the first column of a table that pandas wrote has no name; any other one holds what was cut off a cell
    unnamed = next((cell for name, cell in list(zip(names, cells, strict=True))[1:] if cell.strip() and not name), None)
    if unnamed is not None:
        raise RowError(
            f"has {unnamed[:40]!r} in a column without a name; put quotes round a cell that holds a comma, or name the "
            f"column in the first line"
        )
    return {name: cell for name, cell in zip(names, cells, strict=True) if name and cell}
