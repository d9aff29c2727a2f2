"""What a study says of the paper's claims."""

import os
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
from kedro.io import AbstractDataset, DatasetError

from cai_kedro.core.csv_text import from_csv_cells

_TEXTS = (
    "study",
    "commit",
    "id",
    "headline",
    "claim",
    "paper",
    "setting",
    "quantity",
    "expected",
    "values",
    "verdict",
    "note",
)
_NUMBERS = (
    *("mean", "low", "high", "sd", "half_width", "n", "seeds", "detectable"),
    *("chance", "ceiling", "first", "second"),
)
#: Shown on the page; a table of a study has more.
COLUMNS = (*_TEXTS, *_NUMBERS)


class VerdictsDataset(AbstractDataset[NoReturn, pd.DataFrame]):
    """`claims.csv` of `kedro study`: a row a claim. Read only; without a file the table is empty."""

    def __init__(self, *, filepath: str | os.PathLike[str] | None, metadata: dict[str, Any] | None = None) -> None:
        """Nothing is read yet.

        Args:
            filepath: `data/studies/<study>/claims.csv`; null where there is no study.
            metadata: for plugins such as kedro-viz.
        """
        self._filepath = None if filepath is None else Path(filepath)
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """Return the table; raises `DatasetError` for a file that is not there or lacks a column."""
        if self._filepath is None:
            return pd.DataFrame(columns=list(COLUMNS))
        try:
            text = pd.read_csv(self._filepath, dtype=str, keep_default_na=False)
            missing = [name for name in COLUMNS if name not in text.columns]
            if missing:
                raise ValueError(f"it lacks the columns {', '.join(missing)}")
            table = from_csv_cells(text)
            numbers = {name: pd.to_numeric(table[name].replace("", None)) for name in _NUMBERS}
        except (OSError, ValueError) as error:
            raise DatasetError(
                f"{self._filepath} cannot be read as the claims of a study: {error}; name claims.csv of a finished "
                f"`kedro study` as study_verdicts in the catalog, or null for none"
            ) from error
        return table.assign(headline=table["headline"].str.lower() == "true", **numbers)

    def save(self, data: NoReturn) -> NoReturn:
        """Refuse: a study writes it, not a run."""
        raise DatasetError(f"the verdicts {self._filepath} are written by kedro study, not by a run")

    def _exists(self) -> bool:
        return self._filepath is None or self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
