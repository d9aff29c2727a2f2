"""Free English as a table of a run: the one way in which it gets there."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal, NoReturn

import pandas as pd
from kedro.io import AbstractDataset, DatasetError

from cai_kedro.free_english.reader import free_pairs, free_requests

Part = Literal["requests", "pairs"]


class FreeEnglishDataset(AbstractDataset[NoReturn, pd.DataFrame]):
    """`requests` or `pairs` of the package. Read only."""

    PARTS: ClassVar[dict[str, Callable[[], pd.DataFrame]]] = {"requests": free_requests, "pairs": free_pairs}

    def __init__(self, *, part: Part, metadata: dict[str, Any] | None = None) -> None:
        """Nothing is read yet.

        Args:
            part: `requests` or `pairs`.
            metadata: for plugins such as kedro-viz.
        """
        if part not in self.PARTS:
            raise DatasetError(f"free English has no part {part!r}; expected {' or '.join(self.PARTS)}")
        self._part = part
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """Return the table; it is a copy."""
        return self.PARTS[self._part]().copy()

    def save(self, data: NoReturn) -> None:
        """Refuse: it is part of the package."""
        raise DatasetError("free English is part of the package and is not written by a run")

    def _describe(self) -> dict[str, Any]:
        return {"part": self._part}
