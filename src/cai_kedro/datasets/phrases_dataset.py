"""A list of phrases that people give."""

import os
from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError


class PhrasesDataset(AbstractDataset[NoReturn, list[str]]):
    """A text file with a phrase a line; empty lines, and lines that begin with `#`, are none. Read only.

    Without a file there are no phrases.
    """

    def __init__(self, *, filepath: str | os.PathLike[str] | None, metadata: dict[str, Any] | None = None) -> None:
        """Nothing is read yet.

        Args:
            filepath: the text file, in UTF-8; null where there is none.
            metadata: for plugins such as kedro-viz.
        """
        self._filepath = None if filepath is None else Path(filepath)
        self.metadata = metadata

    def load(self) -> list[str]:
        """Return the phrases; raises `DatasetError` for a file that is not there or no text in UTF-8."""
        if self._filepath is None:
            return []
        try:
            text = self._filepath.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise DatasetError(
                f"{self._filepath} cannot be read as a UTF-8 file with a phrase a line: {error}"
            ) from error
        lines = (line.strip() for line in text.split("\n"))
        return [line for line in lines if line and not line.startswith("#")]

    def save(self, data: NoReturn) -> NoReturn:
        """Refuse: people write the list."""
        raise DatasetError(f"the phrases {self._filepath} are written by people, not by a run")

    def _exists(self) -> bool:
        return self._filepath is None or self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
