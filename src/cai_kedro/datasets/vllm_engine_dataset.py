"""A language model on vLLM, in the process of the run: `X.model@engine`."""

import gc
import os
from pathlib import Path
from typing import Any, NoReturn

import torch
from kedro.io import DatasetError, Version
from pydantic import ValidationError

from cai_kedro.datasets.entry_faults import entry_faults
from cai_kedro.datasets.versioned import LocalVersionedDataset
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.model_files import check_model_directory
from cai_kedro.engines.model_reference import resolve_directory
from cai_kedro.engines.vllm_engine import VLLMEngine, VLLMSettings


class VLLMEngineDataset(LocalVersionedDataset[NoReturn, TextEngine]):
    """A text engine on vLLM (extra `gpu`) and the directory that `@checkpoint` writes. Read only.

    Not run on a GPU yet.
    """

    def __init__(
        self,
        *,
        filepath: str | os.PathLike[str],
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        """Nothing is read yet. Raises `DatasetError` for a setting that is wrong, missing or unknown.

        Args:
            filepath: path of the model directory.
            version: which version to load; None if not versioned.
            metadata: for plugins such as kedro-viz.
            settings: the fields of `engines.vllm_engine.VLLMSettings`, without `kind`.
        """
        super().__init__(filepath=filepath, version=version, metadata=metadata)
        try:
            self._settings = VLLMSettings(kind="vllm", **settings)
        except ValidationError as error:
            raise DatasetError(f"the entry of {self._filepath} on vLLM: {entry_faults(error)}") from error

    def load(self) -> TextEngine:
        """Return an engine; raises `DatasetError` that says which files a directory, or what this machine, misses."""
        try:
            directory = check_model_directory(resolve_directory(Path(self._get_load_path())))
            return VLLMEngine(directory, self._settings)
        except ModuleNotFoundError as error:
            raise DatasetError(f"a model on vLLM needs the package {error.name!r}: pip install -e '.[gpu]'") from error
        except ValueError as error:
            raise DatasetError(f"{self._filepath}: {error}") from error

    def save(self, data: NoReturn) -> NoReturn:
        """Refuse: a model is saved as `@checkpoint`."""
        raise DatasetError(f"{self._filepath} is read as an engine; save the model as @checkpoint")

    def _release(self) -> None:
        super()._release()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), **self._settings.model_dump(exclude={"kind"})}
