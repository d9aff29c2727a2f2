"""The rules of SELF-ALIGN with their worked examples, as people write them."""

import os
from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

from cai_kedro.core.rules import RuleSet
from cai_kedro.core.rules_reader import RULES, read_rules


class RulesDataset(AbstractDataset[NoReturn, RuleSet]):
    """A folder with `rules.yml` and `worked_examples.yml`, see `core.rules_reader`. Read only."""

    def __init__(self, *, filepath: str | os.PathLike[str], metadata: dict[str, Any] | None = None) -> None:
        """Nothing is read yet.

        Args:
            filepath: the folder.
            metadata: for plugins such as kedro-viz.
        """
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> RuleSet:
        """Return rules and examples; raises `DatasetError` that names file, entry and field of the first fault."""
        try:
            return read_rules(self._filepath)
        except (ValueError, OSError) as error:
            raise DatasetError(str(error)) from error

    def save(self, data: NoReturn) -> NoReturn:
        """Refuse: people write the rules."""
        raise DatasetError(f"the rules {self._filepath} are written by people, not by a run")

    def _exists(self) -> bool:
        return (self._filepath / RULES).exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}
