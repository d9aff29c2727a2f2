"""What our tables and figures share: one file, there whole or not at all, and its digest beside it."""

from abc import abstractmethod
from pathlib import Path
from typing import TypeVar

from kedro.io import DatasetError

from cai_kedro.datasets.digest import read_verified, write_with_digest
from cai_kedro.datasets.versioned import LocalVersionedDataset

In = TypeVar("In")
Out = TypeVar("Out")


class FileDataset(LocalVersionedDataset[In, Out]):
    """A file that anybody can open. Loading it checks its digest, `<file>.sha256` (`datasets/digest.py`)."""

    def load(self) -> Out:
        """Return what the file holds; raises `DatasetError` that names it if it is damaged or of another format."""
        path = Path(self._get_load_path())
        content = read_verified(path)
        try:
            return self._decode(content, path)
        except (ValueError, OSError) as error:  # pyarrow raises either
            raise DatasetError(
                f"{path} cannot be read as {self._format()}: {error}. It is damaged or no such file; remove this "
                f"version and make it again"
            ) from error

    def save(self, data: In) -> None:
        """Write the file and its digest; raises `DatasetError` and leaves nothing if that cannot be done."""
        self._write(data)

    def _write(self, data: In) -> None:
        content = self._encode(data)
        write_with_digest(self._target(), content)

    @abstractmethod
    def _format(self) -> str:
        """Return what the file should be, for messages."""

    @abstractmethod
    def _encode(self, data: In) -> bytes:
        """Return the bytes of the file; the same data gives the same bytes."""

    @abstractmethod
    def _decode(self, content: bytes, path: Path) -> Out:
        """Return what the bytes hold; raises `ValueError` where they are not of this format."""
