"""Free English as a table of a run: the one way in which it gets there."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal, NoReturn

import pandas as pd
from kedro.io import AbstractDataset, DatasetError

from cai_kedro.core.schemas import check_table
from cai_kedro.free_english.reader import free_pairs, free_requests

Part = Literal["requests", "pairs", "harmful_prompts", "harmless_prompts"]


class FreeEnglishDataset(AbstractDataset[NoReturn, pd.DataFrame]):
    """`requests` or `pairs` of the package, or its requests as `prompts` to evaluate on. Read only."""

    PARTS: ClassVar[dict[str, Callable[[], pd.DataFrame]]] = {
        "requests": free_requests,
        "pairs": free_pairs,
        "harmful_prompts": lambda: _prompts(harmful=True),
        "harmless_prompts": lambda: _prompts(harmful=False),
    }

    def __init__(self, *, part: Part, metadata: dict[str, Any] | None = None) -> None:
        """Nothing is read yet.

        Args:
            part: `requests` or `pairs`; `harmful_prompts` or `harmless_prompts` (look-alikes and plain ones).
            metadata: for plugins such as kedro-viz.
        """
        if part not in self.PARTS:
            raise DatasetError(f"free English has no part {part!r}; expected {', '.join(self.PARTS)}")
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


def _prompts(*, harmful: bool) -> pd.DataFrame:
    requests = free_requests()
    chosen = requests[requests["harmful"] == harmful]
    return check_table("prompts", chosen[["prompt_id", "messages", "split"]].assign(source="given"))
