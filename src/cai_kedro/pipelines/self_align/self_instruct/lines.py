"""The lines of continued lists, and what can be wrong with one by itself."""

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from cai_kedro.core.text import list_item

KEPT = "kept"
_FILTERED = ["text", "line", "source", "question_type", "topic", "filter", "like", "rouge"]
_COUNTED = ["line", "source", "question_type", "outcome"]


@dataclass(frozen=True)
class Line:
    """A line with the list that it is from; `fault` is the filter that takes it, None while none does."""

    text: str
    source: str
    question_type: str | None
    topic: str | None
    fault: str | None = None
    like: str | None = None
    rouge: float | None = None


#: Says what is wrong with a text, None if nothing is.
Check = Callable[[str], str | None]


def lines_of(lists: pd.DataFrame) -> list[Line]:
    """Return the lines of all lists (`lists`), without their numbers.

    `unnumbered` is a line that does not belong to a list: it bears no number and is not the first one, or is a heading.
    `cut` is the last one where the limit of tokens ended the list.
    """
    return [
        Line(text, row.source, _or_none(row.question_type), _or_none(row.topic), fault)
        for row in lists.itertuples()
        for text, fault in _items(str(row.text), row.finish_reason == "length")
    ]


def _items(continued: str, cut: bool) -> list[tuple[str, str | None]]:
    written = [(marked, text) for marked, text in map(list_item, continued.split("\n")) if text]
    items: list[tuple[str, str | None]] = []
    for place, (marked, text) in enumerate(written):
        belongs = marked or (place == 0 and not text.endswith(":"))
        items.append((text, None if belongs else "unnumbered"))
    if cut and items:
        items[-1] = (items[-1][0], "cut")
    return items


def _or_none(cell: object) -> str | None:
    return cell if isinstance(cell, str) else None


def wrong_characters(text: str) -> str | None:
    """Say whether a text begins with a punctuation mark or holds a character beyond ASCII."""
    if text[0] in string.punctuation:
        return "punctuation"
    return None if text.isascii() else "non_ascii"


def first_fault(text: str, checks: Sequence[Check]) -> str | None:
    """Return what the first check finds that finds anything."""
    return next((fault for check in checks if (fault := check(text)) is not None), None)


def filtered_table(lines: Sequence[Line], kind: str) -> pd.DataFrame:
    """Return the lines with a fault as a table of kind `filtered`; `kind` is `topic` or `question`."""
    rows = [
        (line.text, kind, line.source, line.question_type, line.topic, line.fault, line.like, line.rouge)
        for line in lines
        if line.fault is not None
    ]
    return pd.DataFrame(rows, columns=_FILTERED).astype(
        {name: object for name in _FILTERED if name != "rouge"} | {"rouge": float}
    )


def counts_table(kept: pd.DataFrame, filtered: pd.DataFrame) -> pd.DataFrame:
    """Count what became of the lines (`line, source, question_type` of the kept ones, `filtered` → `counts`)."""
    every = pd.concat([kept.assign(outcome=KEPT), filtered.rename(columns={"filter": "outcome"})])[_COUNTED]
    return every.groupby(_COUNTED, dropna=False, sort=False).size().rename("lines").reset_index()
