"""Rows of raw files, as people write them: JSON lines or CSV, with every fault named by file and line.

A row is a mapping of column to value. `null` and an empty CSV cell are a column that is not there.
"""

import csv
import io
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from kedro.io import DatasetError

from cai_kedro.core.strict_files import plain_value, read_text, strict_json, with_plain_line_ends

logger = logging.getLogger(__name__)

Row = Mapping[str, Any]
Made = TypeVar("Made")
_SHOWN = 3
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


class RowError(ValueError):
    """What is wrong with one line, what was expected, and what to do."""


class IrregularRowError(RowError):
    """A row that is whole, but that the method has no use for. Public data hold some; a reader may leave them out."""


def each_row(path: Path, make: Callable[[Row], Made], *columns: str) -> dict[int, Made]:
    """Return what `make` makes of every row, by the number of its (first) line.

    `columns` are those that a CSV file must have. Raises one `DatasetError` with the first faults and their lines.
    """
    made, irregular = _made(path, make, columns)
    _refuse(path, irregular)
    return made


def regular_rows(path: Path, make: Callable[[Row], Made], *columns: str) -> tuple[dict[int, Made], dict[int, str]]:
    """Return what `make` makes of the regular rows, and why the others are in quarantine, both by line.

    What is in quarantine is counted in one warning. Raises `DatasetError` as `each_row` does, and if nothing is left.
    """
    made, irregular = _made(path, make, columns)
    if irregular and not made:
        _refuse(path, irregular)
    if irregular:
        lines = dict(zip(reversed(irregular.values()), reversed(irregular), strict=True))
        reasons = (
            f"{n} × {reason} (such as line {lines[reason]})" for reason, n in Counter(irregular.values()).most_common()
        )
        total = len(made) + len(irregular)
        logger.warning("%s: %d of %d rows are left out: %s", path, len(irregular), total, "; ".join(reasons))
    return made, irregular


def refuse(path: Path, faults: list[str]) -> None:
    """Raise `DatasetError` if there are faults; shows the first ones."""
    if faults:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise DatasetError(f"{path}: {'; '.join(faults[:_SHOWN])}{more}")


def _refuse(path: Path, faults: Mapping[int, str]) -> None:
    refuse(path, [f"line {line} {fault}" for line, fault in sorted(faults.items())])


def _made(path: Path, make: Callable[[Row], Made], columns: tuple[str, ...]) -> tuple[dict[int, Made], dict[int, str]]:
    made: dict[int, Made] = {}
    faults: dict[int, str] = {}
    irregular: dict[int, str] = {}
    changed = []
    try:
        for line, read in _rows(path, columns):
            try:
                raw = read()
                row = _plain_row(raw)
                if raw != row:
                    changed.append(line)
                made[line] = make({column: value for column, value in row.items() if value is not None})
            except IrregularRowError as fault:
                irregular[line] = str(fault)
            except RowError as fault:
                faults[line] = str(fault)
    except ValueError as fault:  # of the whole file
        raise DatasetError(str(fault)) from fault
    _refuse(path, faults)
    if changed:
        logger.warning(
            "%s: %d rows, such as line %d, have the line ends CRLF or CR in a text; they are read as LF",
            path,
            len(changed),
            changed[0],
        )
    return made, irregular


def _plain_row(raw: Row) -> Row:
    try:
        row: Row = plain_value(raw)
    except (ValueError, RecursionError) as error:
        raise RowError(str(error)) from error
    return row


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, Callable[[], Row]]]:
    """Give each row's line and how to read it, which raises `RowError`; `ValueError` for a file that is not rows."""
    text = read_text(path)
    if path.name.removesuffix(".gz").endswith(".csv"):
        yield from _csv_rows(path, text, columns)
        return
    # cut at line ends only: `str.splitlines` would also cut at U+2028, which JSON allows inside a text
    for line, content in enumerate(with_plain_line_ends(text).split("\n"), start=1):
        if content.strip(" \t"):
            yield line, lambda content=content: _json_row(content)  # type: ignore[misc]


def _json_row(line: str) -> Row:
    try:
        row = strict_json(line)
    except json.JSONDecodeError as error:
        raise RowError(f"is no JSON ({error.msg} at character {error.pos + 1}); write one object per line") from error
    except ValueError as error:
        raise RowError(str(error)) from error
    if not isinstance(row, dict):
        raise RowError(f"holds {type(row).__name__} where an object with named columns is expected")
    return row


def _csv_rows(path: Path, text: str, needed: tuple[str, ...]) -> Iterator[tuple[int, Callable[[], Row]]]:
    records = _records(path, text)
    line, names = next(records, (1, []))
    names = [name.strip() for name in names]
    if not any(names):
        raise ValueError(f"{path} is empty; expected a CSV file with the columns {', '.join(needed)}")
    _check_header(f"{path}, line {line}", names, needed)
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


def _check_header(where: str, names: list[str], needed: tuple[str, ...]) -> None:
    twice = next((name for name, n in Counter(names).items() if n > 1 and name), None)
    if twice is not None:
        raise ValueError(f"{where}: the column {twice!r} is there twice, the columns are {names}; rename one")
    missing = [column for column in needed if column not in names]
    separator = next((sign for sign in _SEPARATORS if sign in names[0]), None)
    if missing and separator:
        raise ValueError(
            f"{where}: the columns are separated by {_SEPARATORS[separator]}, expected commas; save the file with "
            f"commas, or give the rows as JSON lines"
        )
    if missing:
        raise ValueError(f"{where}: the column {missing[0]!r} is missing, the columns are {names}; add or rename one")


def _csv_row(names: list[str], cells: list[str]) -> Row:
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
