"""One run at a time on one output, told as datasets tell their errors."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kedro.io import DatasetError

from cai_kedro.core.lock import InUseError
from cai_kedro.core.lock import locked as held


@contextmanager
def locked(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file as `core.lock.locked` does; raises `DatasetError` that names the process which holds it."""
    with ExitStack() as stack:
        try:
            stack.enter_context(held(path, what))
        except InUseError as error:
            raise DatasetError(str(error)) from error
        yield
