"""Rows as people give them, each checked, with every fault named by source and place."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from kedro.io import DatasetError

from cai_kedro.core.strict_files import plain_value
from cai_kedro.datasets.row_errors import IrregularRowError, Row, RowError
from cai_kedro.datasets.row_source import RowSource

logger = logging.getLogger(__name__)

Made = TypeVar("Made")
_SHOWN = 3
_LEAVE_OUT = "; to leave such rows out and have them counted, set `faulty_rows: leave_out` in the entry"


def each_row(source: RowSource, make: Callable[[Row], Made], *columns: str) -> dict[int, Made]:
    """Return what `make` makes of every row, by its place.

    `columns` are those that a file with a head must have; of `a|b` one. Raises one `DatasetError` with the first faults
    and their places.
    """
    made, irregular = _made(source, make, columns)
    _refuse(source, irregular)
    return made


def regular_rows(
    source: RowSource, make: Callable[[Row], Made], *columns: str
) -> tuple[dict[int, Made], dict[int, str]]:
    """Return what `make` makes of the regular rows, and why the others are in quarantine, both by place.

    What is in quarantine is counted in one warning. Raises `DatasetError` as `each_row` does, and if less than half is
    left: then the source is not what its entry says.
    """
    made, irregular = _made(source, make, columns)
    total = len(made) + len(irregular)
    if len(irregular) > len(made):
        _refuse(source, irregular, f"{len(irregular)} of {total} rows cannot be used, expected at most half: ")
    if irregular:
        logger.warning(
            "%s: %d of %d rows are left out: %s", source.title, len(irregular), total, _counted(source, irregular)
        )
    return made, irregular


def _counted(source: RowSource, reasons: Mapping[int, str]) -> str:
    first: dict[str, int] = {}
    for at, reason in reasons.items():
        first.setdefault(reason, at)
    most = Counter(reasons.values()).most_common()
    return "; ".join(f"{n} × {reason} (such as {source.place} {first[reason]})" for reason, n in most)


def refuse(source: RowSource, faults: list[str], about: str = "") -> None:
    """Raise `DatasetError` if there are faults; shows the first ones."""
    if faults:
        more = f"; and {len(faults) - _SHOWN} more{_LEAVE_OUT}" if len(faults) > _SHOWN else ""
        raise DatasetError(f"{source.title}: {about}{'; '.join(faults[:_SHOWN])}{more}")


def _refuse(source: RowSource, faults: Mapping[int, str], about: str = "") -> None:
    refuse(source, [f"{source.place} {at} {fault}" for at, fault in sorted(faults.items())], about)


def _made(
    source: RowSource, make: Callable[[Row], Made], columns: tuple[str, ...]
) -> tuple[dict[int, Made], dict[int, str]]:
    made: dict[int, Made] = {}
    unwanted: dict[int, Made] = {}
    faults: dict[int, str] = {}
    irregular: dict[int, str] = {}
    changed: list[int] = []
    seen: set[str] = set()
    names: set[str] = set()
    try:
        for at, read in source.rows(columns):
            try:
                raw = read()
                row = _plain_row(raw)
                if raw != row:
                    changed.append(at)
                names |= set(row)
                renamed, there = source.renamed(row)
                seen |= there
                given = {column: value for column, value in renamed.items() if value is not None}
                wanted, of_row = source.is_wanted(given), make(given)
                (made if wanted else unwanted)[at] = of_row
            except IrregularRowError as fault:
                irregular[at] = str(fault)
            except RowError as fault:
                (irregular if source.leaves_out else faults)[at] = str(fault)
    except ValueError as fault:  # of the whole source
        raise DatasetError(str(fault)) from fault
    _refuse_unseen(source, seen, names)
    _refuse(source, faults)
    if unwanted and not made:
        raise DatasetError(
            f"{source.title}: none of its {len(unwanted)} rows has {dict(source.where)}; correct `where` or the file"
        )
    _tell_line_ends(source, changed)
    return made, irregular


def _refuse_unseen(source: RowSource, seen: set[str], names: set[str]) -> None:
    """Refuse a source in which no row has a column that its entry renames: a slip would go unseen."""
    for ours, theirs in source.columns.items():
        if names and theirs and ours not in seen:
            raise DatasetError(
                f"{source.title}: no row has the column {theirs!r}, which the entry's `columns` gives for {ours!r}; "
                f"expected one of {sorted(names)}"
            )


def _tell_line_ends(source: RowSource, changed: list[int]) -> None:
    if changed:
        logger.warning(
            "%s: %d rows, such as %s %d, have the line ends CRLF or CR in a text; they are read as LF",
            source.title,
            len(changed),
            source.place,
            changed[0],
        )


def _plain_row(raw: Row) -> Row:
    try:
        row: Any = plain_value(raw)
    except (ValueError, RecursionError) as error:
        raise RowError(str(error)) from error
    return row
