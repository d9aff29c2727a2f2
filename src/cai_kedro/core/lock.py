"""One run at a time on one output."""

import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)


class InUseError(ValueError):
    """Another process makes the same output."""


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file; raises `InUseError` that names the process which holds it.

    The lock is the system's: it ends with its process however that ends, so a lock file that a killed run left is
    simply taken over. What stands in the file is for the message.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            raise InUseError(
                f"{what} is being made by another run, {file.read().strip() or 'which has just started'}: wait for it "
                f"or stop it, then start again ({path} is locked)"
            ) from error
        file.seek(0)
        if left := file.read().strip():
            logger.warning("%s: taken over from %s, which ended before it was done", what, left)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)
