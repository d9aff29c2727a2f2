"""Files that say beside them what they hold: `<file>.sha256`, in the format of the command `sha256sum`."""

import hashlib
import logging
from pathlib import Path

from kedro.io import DatasetError

from cai_kedro.datasets.durable import write_all_durably

logger = logging.getLogger(__name__)

_ENDING = ".sha256"
_unverified: set[Path] = set()


def write_with_digest(path: Path, content: bytes) -> None:
    """Write a file and its digest durably; the digest gets its name first, so no file of ours is without one."""
    line = f"{hashlib.sha256(content).hexdigest()}  {path.name}\n"
    write_all_durably({_digest_file(path): line.encode(), path: content})


def read_verified(path: Path) -> bytes:
    """Return a file's content; raises `DatasetError` where it is not what was written.

    A file without a digest, from an earlier version of the package or from another hand, is read with one warning.
    """
    content = path.read_bytes()
    digest_file = _digest_file(path)
    try:
        written = digest_file.read_bytes().split()
    except FileNotFoundError:
        if path not in _unverified:
            _unverified.add(path)
            logger.warning("%s has no %s beside it, so nobody can tell whether it is damaged", path, digest_file.name)
        return content
    if written[:1] != [hashlib.sha256(content).hexdigest().encode()]:
        raise DatasetError(
            f"{path} is not what was written: its sha256 is not the one in {digest_file.name}, so one of the two is "
            f"damaged or was edited. Remove this version and make it again, or delete {digest_file.name} to take the "
            f"file as it is"
        )
    return content


def _digest_file(path: Path) -> Path:
    return path.with_name(path.name + _ENDING)
