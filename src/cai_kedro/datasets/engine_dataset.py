"""A language model as nodes sample from it and read its logits: `X.model@engine`."""

import gc
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from kedro.io import DatasetError, Version

from cai_kedro.datasets.engine_kinds import engine_kind
from cai_kedro.datasets.versioned import LocalVersionedDataset
from cai_kedro.engines.base import TextEngine


class EngineDataset(LocalVersionedDataset[NoReturn, TextEngine]):
    """A text engine, mostly on the directory that `@checkpoint` writes. Read only.

    The checks before a run call `check`. Nothing else is loaded, joined or sent before a node asks.
    """

    def __init__(
        self,
        *,
        engine: Mapping[str, Any],
        filepath: str | os.PathLike[str] | None = None,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Nothing is read yet. Raises `DatasetError` for a setting that is wrong, missing or unknown.

        Args:
            engine: `kind`, one of transformers, vllm, ray and server, and its settings (`datasets.engine_kinds`).
            filepath: path of the model directory. A server reads none.
            version: which version to load; None if not versioned.
            metadata: for plugins such as kedro-viz.
        """
        self._kind_name, self._kind = dict(engine).get("kind"), engine_kind(engine)
        if filepath is None and self.reads_files:
            raise DatasetError(f"an engine of the kind {self._kind_name} reads a model directory; give its filepath")
        super().__init__(filepath=filepath or "", version=version if self.reads_files else None, metadata=metadata)

    @property
    def reads_files(self) -> bool:
        """Whether there is a model directory to look into: a server has its own."""
        return self._kind.reads_files

    @property
    def reads_adapters(self) -> bool:
        """Whether it reads the directory of an adapter; a server reads none at all."""
        return self._kind.reads_adapters

    @property
    def server(self) -> tuple[str, ...] | None:
        """Address and name of a model on a server, None of any other one."""
        return self._kind.server

    def load(self) -> TextEngine:
        """Return an engine; raises `DatasetError` that says what a directory, or what this machine, misses."""
        try:
            return self._kind.load(Path(self._get_load_path()))
        except ModuleNotFoundError as error:
            raise DatasetError(self._needs(error)) from error
        except ValueError as error:
            raise DatasetError(f"{self._filepath}: {error}") from error

    def check(self) -> str | None:
        """Return what keeps cluster or server from answering, None if nothing does. No model is loaded."""
        try:
            return self._kind.check()
        except ModuleNotFoundError as error:
            return self._needs(error)

    def save(self, data: NoReturn) -> NoReturn:
        """Refuse: a model is saved as `@checkpoint`."""
        place = f"{self._filepath}" if self.reads_files else "a model on a server"
        raise DatasetError(f"{place} is read as an engine; save the model as @checkpoint")

    def _needs(self, error: ModuleNotFoundError) -> str:
        return self._kind.package.format(name=error.name) if self._kind.package else str(error)

    def _exists(self) -> bool:
        return super()._exists() if self.reads_files else True

    def _release(self) -> None:
        super()._release()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _describe(self) -> dict[str, Any]:
        files = super()._describe() if self.reads_files else {}
        return {**files, "engine": {"kind": self._kind_name, **self._kind.described()}}
