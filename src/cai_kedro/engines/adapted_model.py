"""A model with an adapter that was trained elsewhere on one with the very same weights: `base_model.adapter`."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from cai_kedro.engines.adapter_files import BACKBONE, check_adapter_files, is_adapter, merged_onto
from cai_kedro.engines.gguf_file import GGUFFile
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_reference import ModelReference, load_model, model_digest


@dataclass(frozen=True)
class AdaptedModel:
    """The model `base`, and the directory of an adapter for it.

    The adapter need not lie where it was trained: it knows its model by the digest of the weights. Where the directory
    holds versions, as the catalog writes them, the newest one is taken.
    """

    base: ModelReference | GGUFFile
    adapter: Path

    def at(self, base: Path) -> "AdaptedModel":
        """Return the same with whole paths; relative ones start at `base`."""
        return AdaptedModel(self.base.at(base), base / self.adapter.expanduser())

    def check(self) -> None:
        """Raise `ValueError` if the model or the adapter is not there; whether they fit shows when they are read."""
        self.base.check()
        adapter_directory(self.adapter)

    def load(self) -> LanguageModel:
        """Return the model with the adapter merged into its weights; raises `ValueError` if they do not fit."""
        adapter = adapter_directory(self.adapter)
        if isinstance(self.base, GGUFFile):
            with tempfile.TemporaryDirectory() as folder:
                self.base.write(Path(folder))
                return self._merged(Path(folder), adapter, f"the one in {self.base.given}")
        place = self.base.directory()
        return self._merged(place, adapter, f"the one in {place}")

    def _merged(self, place: Path, adapter: Path, where: str) -> LanguageModel:
        return merged_onto(load_model(place), adapter, model_digest(place), where)


def adapter_directory(given: Path) -> Path:
    """Return the directory of an adapter, or of its newest version; raises `ValueError` if there is none."""
    versions = [path.parent for path in sorted(given.glob(f"*/{given.name}/{BACKBONE}"))]
    directory = versions[-1] if versions else given
    if not is_adapter(directory):
        raise ValueError(
            f"there is no adapter in {given}; make one with `kedro run --pipelines=teach_skills`, or set it to null"
        )
    check_adapter_files(directory)
    return directory
