"""The constitution, from any of the formats that it may be written in."""

import os
from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from cai_kedro.core.constitution import Constitution
from cai_kedro.core.constitution_readers import read_constitution


class ConstitutionDataset(AbstractDataset[NoReturn, Constitution]):
    """A folder or file of principles and few-shots, see `core.constitution_readers`. Read only."""

    def __init__(self, *, filepath: str | os.PathLike[str], metadata: dict[str, Any] | None = None) -> None:
        """Nothing is read yet.

        Args:
            filepath: folder of YAML files, folder of the paper's JSON files, or a file with a list of sentences.
            metadata: for plugins such as kedro-viz.
        """
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> Constitution:
        """Return the constitution; raises `DatasetError` that names file, entry and field of the first fault."""
        try:
            return read_constitution(self._filepath)
        except (ValueError, OSError) as error:
            raise DatasetError(str(error)) from error

    def save(self, data: NoReturn) -> NoReturn:
        """Refuse: people write the constitution."""
        raise DatasetError(f"the constitution {self._filepath} is written by people, not by a run")

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
