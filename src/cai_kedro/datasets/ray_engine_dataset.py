"""A language model on the machines of a Ray cluster: `X.model@engine`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from kedro.io import DatasetError, Version
from pydantic import TypeAdapter, ValidationError

from cai_kedro.datasets.entry_faults import entry_faults
from cai_kedro.datasets.versioned import LocalVersionedDataset
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.loading import EngineSettings, TransformersSettings, VLLMSettings
from cai_kedro.engines.model_reference import reference_to
from cai_kedro.engines.ray_settings import ClusterSettings

_MODEL: TypeAdapter[TransformersSettings | VLLMSettings] = TypeAdapter(EngineSettings)


class RayEngineDataset(LocalVersionedDataset[NoReturn, TextEngine]):
    """A text engine on a running Ray cluster (extra `cluster`) and the directory that `@checkpoint` writes. Read only.

    The checks before a run call `check`; nothing else is asked of the cluster before a node asks.
    """

    def __init__(
        self,
        *,
        filepath: str | os.PathLike[str],
        worker: Mapping[str, Any],
        cluster: Mapping[str, Any],
        scratch: str | os.PathLike[str],
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Nothing is read yet. Raises `DatasetError` for a setting that is wrong, missing or unknown.

        Args:
            filepath: path of the model directory, on a disk that every machine sees under this path.
            worker: the engine of each worker, the fields of `engines.loading.TransformersSettings` or of
                `engines.vllm_engine.VLLMSettings`; `kind` says which.
            cluster: the fields of `engines.ray_settings.ClusterSettings`.
            scratch: folder for what was answered, on such a disk, too; it may be deleted between runs.
            version: which version to load; None if not versioned.
            metadata: for plugins such as kedro-viz.
        """
        super().__init__(filepath=filepath, version=version, metadata=metadata)
        try:
            self._worker = _MODEL.validate_python(dict(worker))
            self._cluster = ClusterSettings.model_validate(dict(cluster))
        except ValidationError as error:
            raise DatasetError(f"the entry of {self._filepath} on a cluster: {entry_faults(error)}") from error
        self._scratch = Path(scratch)

    def load(self) -> TextEngine:
        """Return an engine; raises `DatasetError` that says which files a directory misses. No cluster is asked yet."""
        try:
            from cai_kedro.engines.ray_engine import RayEngine  # noqa: PLC0415 - an extra that not every run needs

            reference = reference_to(Path(self._get_load_path()))
            return RayEngine(reference, self._worker, self._cluster, self._scratch)
        except ModuleNotFoundError as error:
            raise DatasetError(_needs(error)) from error
        except ValueError as error:
            raise DatasetError(f"{self._filepath}: {error}") from error

    def save(self, data: NoReturn) -> NoReturn:
        """Refuse: a model is saved as `@checkpoint`."""
        raise DatasetError(f"{self._filepath} is read as an engine; save the model as @checkpoint")

    def check(self) -> str | None:
        """Join the cluster; return what is wrong with it, None if a worker has room there."""
        try:
            from cai_kedro.engines.ray_cluster import ClusterError, connect  # noqa: PLC0415
        except ModuleNotFoundError as error:
            return _needs(error)
        try:
            connect(self._cluster)
        except ClusterError as error:
            return str(error)
        return None

    def _describe(self) -> dict[str, Any]:
        settings = {"worker": self._worker.model_dump(), "cluster": self._cluster.model_dump()}
        return {**super()._describe(), **settings}


def _needs(error: ModuleNotFoundError) -> str:
    return (
        f"a model on a cluster needs the package {error.name!r} on every machine: "
        f"pip install -c constraints.txt -e '.[cluster]'"
    )
