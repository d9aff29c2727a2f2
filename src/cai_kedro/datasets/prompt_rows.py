"""Rows of raw files, as people write them: JSON lines or CSV, with every fault told by line."""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from kedro.io import DatasetError

from cai_kedro.core.conversation import ASSISTANT, HUMAN, Message, parse, render, user

Row = Mapping[str, Any]
Made = TypeVar("Made")
_SHOWN = 3


class RowError(ValueError):
    """What is wrong with one line, what was expected, and what to do."""


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Return the lines of a JSON lines file that hold something, numbered from 1.

    Cut at the newline only: `str.splitlines` would also cut at U+2028, which JSON allows inside a text.
    """
    lines = enumerate(_text(path).split("\n"), start=1)
    return [(number, line) for number, line in lines if line.strip(" \t\r")]


def json_row(line: str) -> Row:
    """Return the object of one line; raises `RowError` for anything else."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise RowError(f"is no JSON ({error.msg} at character {error.pos + 1}); write one object per line") from error
    if not isinstance(row, dict):
        raise RowError(f"holds {type(row).__name__} where an object with named columns is expected")
    return row


def read_csv(path: Path, *needed: str) -> list[tuple[int, Row]]:
    """Return the rows of a CSV file by the number of their last line; raises `DatasetError` without these columns."""
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    if not reader.fieldnames:
        raise DatasetError(f"{path} is empty; expected a CSV file with the columns {', '.join(needed)}")
    for column in needed:
        if column not in reader.fieldnames:
            raise DatasetError(f"{path}, line 1: the column {column!r} is missing, the columns are {reader.fieldnames}")
    return [(reader.line_num, {key: value for key, value in row.items() if value not in (None, "")}) for row in reader]


def each(path: Path, rows: Iterable[tuple[int, Any]], make: Callable[[Any], Made]) -> dict[int, Made]:
    """Make something of every row; raises one `DatasetError` with the first faults and their lines."""
    made: dict[int, Made] = {}
    faults: list[str] = []
    for number, row in rows:
        try:
            made[number] = make(row)
        except RowError as fault:
            faults.append(f"line {number} {fault}")
    refuse(path, faults)
    return made


def refuse(path: Path, faults: list[str]) -> None:
    """Raise `DatasetError` if there are faults; shows the first ones."""
    if faults:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise DatasetError(f"{path}: {'; '.join(faults[:_SHOWN])}{more}")


def conversation_of(row: Row) -> list[Message]:
    """Return the conversation of a row, from `messages` or `prompt`; raises `RowError` unless a human spoke last."""
    given = row.get("messages", row.get("prompt"))
    if given is None:
        raise RowError(
            f"misses the column 'messages' (a list of role and content) or 'prompt' (a text), it has {sorted(row)}; "
            f"add or rename one"
        )
    messages = _from_text(given) if isinstance(given, str) else _from_turns(given)
    for place, turn in enumerate(messages, start=1):
        if not turn["content"].strip():
            raise RowError(f"has an empty text in turn {place}; fill it in or drop the line")
    if not messages or messages[-1]["role"] != "user":
        raise RowError("does not end on a human turn; cut the conversation after what the assistant is to answer")
    return messages


def text_of(row: Row, column: str, default: str | None = None) -> str:
    """Return a text that is not empty; raises `RowError`. Without a default the column has to be there."""
    value = row.get(column, default)
    if value is None:
        raise RowError(f"misses the column {column!r}, it has {sorted(row)}")
    if not isinstance(value, str) or not value.strip():
        raise RowError(f"has no text in {column!r}: {value!r}")
    return value


def content_id(*texts: str) -> str:
    """Return an id that depends on the texts alone."""
    return hashlib.blake2b("\x1f".join(texts).encode(), digest_size=8).hexdigest()


def prompt_id_of(messages: list[Message]) -> str:
    """Return the id of a conversation that was given none."""
    return content_id(render(messages))


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        return (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig")
    except FileNotFoundError as error:
        raise DatasetError(f"there is no file {path}; put one there or correct the path in the catalog") from error
    except (gzip.BadGzipFile, EOFError) as error:
        raise DatasetError(
            f"{path} cannot be unpacked ({error}); fetch it again, or give it its right suffix"
        ) from error
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path} is not UTF-8 (byte {error.start}); convert it") from error


def _from_text(text: str) -> list[Message]:
    """Read the Human/Assistant layout, with or without the blank line in front, or take the text as one human turn."""
    laid_out = "\n\n" + text.lstrip()
    if not laid_out.startswith((f"{HUMAN} ", f"{ASSISTANT} ")):
        return [user(text.strip())]
    messages = parse(laid_out.rstrip())
    waits = len(messages) > 1 and messages[-1]["role"] == "assistant" and not messages[-1]["content"]
    return messages[:-1] if waits else messages


def _from_turns(given: Any) -> list[Message]:
    if not isinstance(given, list):
        raise RowError(f"has {type(given).__name__} for a conversation; expected a text or a list of role and content")
    messages = []
    for place, turn in enumerate(given, start=1):
        if not isinstance(turn, dict) or turn.get("role") not in ("user", "assistant"):
            raise RowError(f"has a turn {place} without a role of 'user' or 'assistant': {turn!r}")
        if not isinstance(turn.get("content"), str):
            raise RowError(f"has a turn {place} without a text in 'content': {turn!r}")
        messages.append(Message(role=turn["role"], content=turn["content"]))
    return messages
