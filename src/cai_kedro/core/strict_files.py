r"""Files that people wrote, read strictly: every fault is a `ValueError` that names the file and the line.

Line ends inside a text become LF, so that a turn marker behind `\r\n\r\n` is one. Half a character (a surrogate
without its other half, as `\ud83d` in JSON) and NUL are refused: no tokenizer can read the first, many a library cuts
a text at the second.
"""

import gzip
import json
import math
import re
import zlib
from pathlib import Path
from typing import Any

_BROKEN = re.compile("[\x00\ud800-\udfff]")
_GZIP = b"\x1f\x8b"


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, plain or gzip, with or without a byte order mark; line ends as they are."""
    try:
        content = path.read_bytes()
        if path.suffix == ".gz" or content.startswith(_GZIP):
            content = gzip.decompress(content)
    except FileNotFoundError as error:
        raise ValueError(f"there is no file {path}; put one there or correct the path in the catalog") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} cannot be unpacked ({error}); fetch it again, or give it its right suffix") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}); expected a file that you may read") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # the codec counts from behind a byte order mark
        at = error.start + len(content) - len(error.object)
        line = content.count(b"\n", 0, at) + 1
        raise ValueError(
            f"{path}, line {line} is not UTF-8 (byte {at} of the file is 0x{content[at]:02x}); save the file as UTF-8"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ValueError(f"{path}, line {line} holds a NUL character; remove it, or save the file as UTF-8")
    return text


def with_plain_line_ends(text: str) -> str:
    """Return the text with LF for CRLF and CR."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def plain_text(text: str, where: str = "a text") -> str:
    """Return a text with LF for line ends; raises `ValueError` for half a character or NUL."""
    broken = _BROKEN.search(text)
    if broken is not None:
        what = "a NUL character" if broken[0] == "\0" else f"half a character, the lone surrogate {broken[0]!r},"
        shown = text[max(0, broken.start() - 20) : broken.end() + 20]
        raise ValueError(
            f"holds {what} at character {broken.start() + 1} of {where} (…{shown!r}…); correct or remove it"
        )
    return with_plain_line_ends(text)


def plain_value(value: Any, where: str = "") -> Any:
    """Return what a JSON or CSV file held, every text of it as by `plain_text`."""
    if isinstance(value, str):
        return plain_text(value, where or "a text")
    inside = f"{where}, " if where else ""
    if isinstance(value, list):
        return [plain_value(part, f"{inside}entry {place}") for place, part in enumerate(value, start=1)]
    if isinstance(value, dict):
        return {plain_text(key, f"{inside}a key"): plain_value(part, f"{inside}{key!r}") for key, part in value.items()}
    return value


def strict_json(text: str) -> Any:
    """Return what a JSON text says; raises `ValueError` also for a key that stands twice, NaN, Infinity and 1e999."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("is nested too deeply; write each entry as one flat object") from error


def json_object(path: Path) -> dict[str, Any]:
    """Return the object of a JSON file that a program wrote; `ValueError` names the file, also for a key there twice.

    NaN and Infinity are let through: configs of state space models hold an infinite limit.
    """
    text = read_text(path)
    try:
        read = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read ({error}); correct it or fetch it again") from error
    if not isinstance(read, dict):
        raise ValueError(
            f"{path} cannot be read (it holds {type(read).__name__}, not an object); correct it or fetch it again"
        )
    return read


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise ValueError(f"the key or id {key!r} is there twice in one mapping; rename one, or drop it")
        values[key] = value
    return values


def _refuse_constant(name: str) -> None:
    raise ValueError(f"holds {name}, which is no number of JSON; write a number, or null where there is none")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"holds the number {digits[:40]}, which is beyond the largest float; write a smaller one")
    return number
