"""Writing a file so that it is there whole or not at all, also after a crash."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kedro.io import DatasetError

PART = ".part"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_durably(path: Path, content: bytes) -> None:
    """Write to a temporary file, flush it to the disk, give it its name, flush the folder.

    Raises `DatasetError` where the disk is full; no part of the file is left then.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        with told_when_full(path):
            temporary.write_bytes(content)
            rename_durably(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def rename_durably(temporary: Path, path: Path) -> None:
    """Give a finished file its name, in such an order that not even a power cut leaves half of it under that name."""
    _flush(temporary)
    temporary.replace(path)
    _flush(path.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def told_when_full(path: Path) -> Iterator[None]:
    """Say in one sentence when there is no room on the disk."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise DatasetError(
            f"there is no room on the disk for {path} ({error.strerror or error}): free some and start again. "
            f"What was finished is kept"
        ) from error


def remove_parts(folder: Path) -> None:
    """Remove the temporary files that killed runs left in a folder."""
    for part in folder.glob(f".*{PART}"):
        part.unlink(missing_ok=True)
