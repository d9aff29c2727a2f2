"""The terminal of a run, whatever it can show and however long it is there: it never ends a run."""

import codecs
import errno
import logging
import os
import sys
from typing import TextIO

from cai_kedro.core.text import visible

_PLAIN = "cai_kedro.plain"
_LOOKS_LIKE = str.maketrans("─–—−…×→≤≥·“”‘’", "----.x><>.\"\"''")
_GONE = {errno.EPIPE, errno.EIO, errno.EBADF}


def prepare_terminal() -> None:
    """Let lines degrade: what the terminal cannot show becomes something like it or `?`, a closed pipe takes all.

    `PYTHONIOENCODING=latin-1`, `kedro run | head`, a terminal that was closed: none of it may cost a run of hours.
    """
    codecs.register_error(_PLAIN, _degraded)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_PLAIN)
    for handler in _handlers():
        if not isinstance(handler.formatter, _VisibleFormatter):
            handler.setFormatter(_VisibleFormatter(handler.formatter))
        handler.handleError = _unless_gone(handler)  # type: ignore[method-assign]


def write_line(text: str) -> None:
    """Write to the terminal; if nobody reads it any more, nothing happens."""
    try:
        print(visible(text), flush=True)
    except OSError as error:
        if error.errno not in _GONE:
            raise
        _close(sys.stdout)


def _degraded(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_LOOKS_LIKE)
    return text.encode("ascii", errors="replace").decode("ascii"), error.end


def _handlers() -> list[logging.StreamHandler]:
    """Every handler that writes to the terminal."""
    loggers = [logging.getLogger(), *(logging.getLogger(name) for name in list(logging.root.manager.loggerDict))]
    handlers = {id(handler): handler for logger in loggers for handler in logger.handlers}.values()
    return [
        handler
        for handler in handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stdout, sys.stderr)
    ]


class _VisibleFormatter(logging.Formatter):
    """Formats as another formatter does; control characters of what is told do not reach the terminal."""

    def __init__(self, formatter: logging.Formatter | None) -> None:
        super().__init__()
        self._formatter = formatter or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record.args, tuple) and record.name.startswith("cai_kedro"):
            # a line end inside a name would look like a line of ours
            shown = logging.makeLogRecord(record.__dict__)
            shown.args = tuple(visible(value, keep="") if isinstance(value, str) else value for value in record.args)
            record = shown
        return visible(self._formatter.format(record))


def _unless_gone(handler: logging.StreamHandler) -> "_Handle":
    return _Handle(handler, handler.handleError)


class _Handle:
    """What a handler does about an error: nothing where nobody reads the terminal any more."""

    def __init__(self, handler: logging.StreamHandler, otherwise: object) -> None:
        self._handler, self._otherwise = handler, otherwise

    def __call__(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, OSError) and error.errno in _GONE:
            _close(self._handler.stream)
        else:
            self._otherwise(record)  # type: ignore[operator]


def _close(stream: TextIO) -> None:
    """Lead a stream to nowhere, so that the interpreter has nothing left to write at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    except (OSError, ValueError):  # no file of the system behind it
        pass
    finally:
        os.close(nowhere)
