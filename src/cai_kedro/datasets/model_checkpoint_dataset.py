"""A language model as nodes train and return it: `X.model@checkpoint`."""

import os
from pathlib import Path
from typing import Any

from kedro.io import DatasetError, Version
from kedro.utils import find_kedro_project

from cai_kedro.datasets.versioned import LocalVersionedDataset
from cai_kedro.engines.adapted_model import AdaptedModel
from cai_kedro.engines.gguf_file import GGUFFile
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_reference import ModelReference, load_model, save_model, write_reference
from cai_kedro.engines.precision import resolve_device

Given = LanguageModel | ModelReference | GGUFFile | AdaptedModel


class ModelCheckpointDataset(LocalVersionedDataset[Given, LanguageModel]):
    """A directory in Hugging Face's format, an adapter's (`engines.adapter_files`), or a file where the model lies.

    Every load gives a fresh object in float32, on the device: a node may change its weights, or score with it there.
    """

    def __init__(
        self,
        *,
        filepath: str | os.PathLike[str],
        device: str = "cpu",
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Nothing is read yet.

        Args:
            filepath: path of the model directory.
            device: what a loaded model lies on: cpu, cuda, or auto, which is cuda where there is one.
            version: which version to load; None if not versioned.
            metadata: for plugins such as kedro-viz.
        """
        super().__init__(filepath=filepath, version=version, metadata=metadata)
        self._device = resolve_device(device)

    def load(self) -> LanguageModel:
        """Return model and tokenizer; raises `DatasetError` that says which files a directory misses."""
        try:
            return load_model(Path(self._get_load_path()), self._device)
        except ValueError as error:
            raise DatasetError(f"{self._filepath}: {error}") from error

    def save(self, data: Given) -> None:
        """Write the model, also that of a GGUF file, or check what a reference points at and write the reference.

        Of a model with an adapter from elsewhere, the whole model is written.

        A relative path starts at the project, wherever the command was given.
        """
        if isinstance(data, ModelReference):
            self._save_reference(data)
        elif isinstance(data, GGUFFile):
            self._save_gguf(data)
        elif isinstance(data, AdaptedModel):
            self._save_adapted(data)
        elif isinstance(data, LanguageModel):
            self._save_model(data)
        else:
            raise DatasetError(
                f"{self._filepath} takes a LanguageModel, a ModelReference, a GGUFFile or an AdaptedModel, got "
                f"{type(data).__name__}"
            )

    def _save_model(self, lm: LanguageModel) -> None:
        try:
            with self._writing() as directory:
                save_model(lm, directory)
        except ValueError as error:
            raise DatasetError(f"{self._filepath}: {error}") from error

    def _save_adapted(self, model: AdaptedModel) -> None:
        try:
            self._save_model(model.at(self._project()).load())
        except ValueError as error:
            raise DatasetError(f"{self._filepath}: {error}") from error

    def _save_gguf(self, file: GGUFFile) -> None:
        try:
            with self._writing() as directory:
                file.at(self._project()).write(directory)
        except ValueError as error:
            raise DatasetError(f"{self._filepath}: {error}") from error

    def _save_reference(self, reference: ModelReference) -> None:
        reference = reference.at(self._project())
        try:
            reference.directory()
        except ValueError as error:
            raise DatasetError(f"{self._filepath}: {error}") from error
        with self._writing() as directory:
            write_reference(reference, directory)

    def _project(self) -> Path:
        """Return the folder that relative paths start at."""
        own = Path(str(self._filepath)).absolute()
        return find_kedro_project(own) or find_kedro_project(Path.cwd()) or Path.cwd()
