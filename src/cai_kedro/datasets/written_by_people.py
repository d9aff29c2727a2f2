"""What a file or folder that people write is in the catalog: read and checked, never written."""

import os
from abc import abstractmethod
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from kedro.io import AbstractDataset, DatasetError

Out = TypeVar("Out")


class WrittenByPeople(AbstractDataset[NoReturn, Out], Generic[Out]):
    """A file or folder that is read only; `WHAT` is what messages call it."""

    WHAT: str

    def __init__(self, *, filepath: str | os.PathLike[str], metadata: dict[str, Any] | None = None) -> None:
        """Nothing is read yet.

        Args:
            filepath: the file or folder.
            metadata: for plugins such as kedro-viz.
        """
        self._filepath = Path(filepath)
        self.metadata = metadata

    @abstractmethod
    def _read(self, path: Path) -> Out:
        """Return what stands there; raises `ValueError` that names file, entry and fault."""

    def load(self) -> Out:
        """Return what stands there; raises `DatasetError` that names file, entry and fault."""
        try:
            return self._read(self._filepath)
        except (ValueError, OSError) as error:
            raise DatasetError(str(error)) from error

    def save(self, data: NoReturn) -> NoReturn:
        """Refuse: people write this."""
        raise DatasetError(f"{self.WHAT} {self._filepath} is written by people, not by a run")

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
