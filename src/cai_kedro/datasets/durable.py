"""Writing a file so that it is there whole or not at all, and saying so where there is no room for it."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kedro.io import DatasetError

from cai_kedro.core.durable import flush, part_of

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_durably(path: Path, content: bytes) -> None:
    """Write to a temporary file, flush it to the disk, give it its name, flush the folder.

    Raises `DatasetError` where the disk is full; no part of the file is left then.
    """
    write_all_durably({path: content})


def write_all_durably(contents: dict[Path, bytes]) -> None:
    """Write several files of one folder as `write_durably` does; none gets its name before all are on the disk."""
    parts = {path: part_of(path) for path in contents}
    try:
        for path, content in contents.items():
            with told_when_full(path):
                parts[path].write_bytes(content)
                flush(parts[path])
        for path, part in parts.items():
            part.replace(path)
            flush(path.parent)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


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
