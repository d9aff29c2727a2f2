"""Writing a file so that it is there whole or not at all, also after a crash."""

import errno
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kedro.io import DatasetError

PART = ".part"
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
                _flush(parts[path])
        for path, part in parts.items():
            part.replace(path)
            _flush(path.parent)
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def rename_durably(temporary: Path, path: Path) -> None:
    """Give a finished file or folder its name, so that not even a power cut leaves half of it under that name."""
    for inside in temporary.rglob("*"):
        _flush(inside)
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


def part_of(path: Path) -> Path:
    """Return the temporary name of a file or folder while this process writes it."""
    return path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}{PART}")


def remove_parts(folder: Path) -> None:
    """Remove what killed runs left half written in a folder: the files and folders whose process is dead."""
    for part in folder.glob(f".*{PART}"):
        if _is_abandoned(part):
            remove(part)


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it; nothing happens where there is none."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_abandoned(part: Path) -> bool:
    """Tell whether a temporary name is that of a dead process of this machine; another machine's may be alive."""
    before, _, process = part.name.removesuffix(PART).rpartition(".")
    if not process.isdecimal() or int(process) == os.getpid():
        return False
    host = f".{socket.gethostname()}"
    if not before.endswith(host):
        return False
    with suppress(PermissionError):
        try:
            os.kill(int(process), 0)
        except (ProcessLookupError, OverflowError):
            return True
    return False
