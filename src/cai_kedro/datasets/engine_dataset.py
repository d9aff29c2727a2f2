"""A language model as nodes sample from it and read its logits: `X.model@engine`."""

import gc
import os
from pathlib import Path
from typing import Any, NoReturn

import torch
from kedro.io import DatasetError, Version

from cai_kedro.datasets.entry_faults import local_settings
from cai_kedro.datasets.versioned import LocalVersionedDataset
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.model_files import load_language_model
from cai_kedro.engines.model_reference import resolve_directory
from cai_kedro.engines.precision import DType


class EngineDataset(LocalVersionedDataset[NoReturn, TextEngine]):
    """A text engine on the directory that `@checkpoint` writes. Read only."""

    def __init__(
        self,
        *,
        filepath: str | os.PathLike[str],
        device: str,
        dtype: DType,
        max_batch_tokens: int,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Nothing is read yet. Raises `DatasetError` for a setting that is none.

        Args:
            filepath: path of the model directory.
            device: where the model computes, `cpu` or `cuda`.
            dtype: precision it computes in.
            max_batch_tokens: how many tokens, padding included, one batch may hold.
            version: which version to load; None if not versioned.
            metadata: for plugins such as kedro-viz.
        """
        super().__init__(filepath=filepath, version=version, metadata=metadata)
        self._settings = local_settings(device=device, dtype=dtype, max_batch_tokens=max_batch_tokens)

    def load(self) -> TextEngine:
        """Return an engine; raises `DatasetError` that says which files a directory misses."""
        try:
            return self._settings.engine_on(load_language_model(resolve_directory(Path(self._get_load_path()))))
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
        return {**super()._describe(), **self._settings.model_dump()}
