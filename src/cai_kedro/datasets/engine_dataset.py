"""A language model as nodes sample from it and read its logits: `X.model@engine`."""

import gc
import os
from pathlib import Path
from typing import Any, NoReturn

import torch
from kedro.io import DatasetError, Version

from cai_kedro.datasets.versioned import LocalVersionedDataset
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.model_files import load_language_model
from cai_kedro.engines.model_reference import resolve_directory
from cai_kedro.engines.precision import DType
from cai_kedro.engines.transformers_engine import TransformersEngine


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
        """Nothing is read yet.

        Args:
            filepath: path of the model directory.
            device: where the model computes, `cpu` or `cuda`.
            dtype: precision it computes in.
            max_batch_tokens: how many tokens, padding included, one batch may hold.
            version: which version to load; None if not versioned.
            metadata: for plugins such as kedro-viz.
        """
        super().__init__(filepath=filepath, version=version, metadata=metadata)
        self._device = device
        self._dtype: DType = dtype
        self._max_batch_tokens = max_batch_tokens

    def load(self) -> TextEngine:
        """Return an engine; raises `DatasetError` that says which files a directory misses."""
        try:
            lm = load_language_model(resolve_directory(Path(self._get_load_path())))
            torch.nn.Module.to(lm.model, self._device)  # the type of the override knows no device
            return TransformersEngine(lm, max_batch_tokens=self._max_batch_tokens, dtype=self._dtype)
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
        settings = {"device": self._device, "dtype": self._dtype, "max_batch_tokens": self._max_batch_tokens}
        return {**super()._describe(), **settings}
