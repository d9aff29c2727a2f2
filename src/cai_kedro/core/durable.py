"""Giving a finished file or folder its name, so that it is there whole or not at all, also after a crash."""

import os
import shutil
import socket
from contextlib import suppress
from pathlib import Path

PART = ".part"


def rename_durably(temporary: Path, path: Path) -> None:
    """Give a finished file or folder its name, so that not even a power cut leaves half of it under that name."""
    for inside in temporary.rglob("*"):
        flush(inside)
    flush(temporary)
    temporary.replace(path)
    flush(path.parent)


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
