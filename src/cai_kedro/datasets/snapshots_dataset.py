"""The policies along an RL run: `{arm}.snapshots@checkpoint` to load or train, `@engine` to sample from."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

from kedro.io import DatasetError, Version

from cai_kedro.datasets.engine_kinds import engine_kind
from cai_kedro.datasets.versioned import LocalVersionedDataset
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_reference import load_model, save_model

_INDEX = "steps.json"

Held = TypeVar("Held")


class LazySnapshots(Mapping[int, Held], Generic[Held]):
    """Snapshots by step, in order; each is read when it is asked for, and not kept."""

    def __init__(self, directories: Mapping[int, Path], read: Callable[[Path], Held]) -> None:
        self._directories = dict(sorted(directories.items()))
        self._read = read

    def __getitem__(self, step: int) -> Held:
        return self._read(self._directories[step])

    def __iter__(self) -> Iterator[int]:
        return iter(self._directories)

    def __len__(self) -> int:
        return len(self._directories)


class SnapshotsDataset(LocalVersionedDataset[Mapping[int, LanguageModel], LazySnapshots[LanguageModel]]):
    """One directory of a model, or of an adapter, per step, and an index that is written with them."""

    def load(self) -> LazySnapshots[LanguageModel]:
        """Return the snapshots without reading a model yet."""
        return LazySnapshots(_directories(Path(self._get_load_path())), load_model)

    def save(self, data: Mapping[int, LanguageModel]) -> None:
        """Write every snapshot; raises `DatasetError` unless every key is a step, a count from 0."""
        wrong = [step for step in data if not isinstance(step, int) or step < 0]
        if wrong:
            raise DatasetError(f"{self._filepath}: snapshots are keyed by step (0, 1, …), got {wrong[:3]}")
        with self._writing() as directory:
            directory.mkdir()
            for step, snapshot in sorted(data.items()):
                save_model(snapshot, directory / _name(step))
            (directory / _INDEX).write_text(json.dumps(sorted(data)) + "\n")


class SnapshotEnginesDataset(LocalVersionedDataset[NoReturn, LazySnapshots[TextEngine]]):
    """Text engines on the directories that `@checkpoint` writes. Read only."""

    def __init__(
        self,
        *,
        filepath: str | os.PathLike[str],
        engine: Mapping[str, Any],
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Nothing is read yet. Raises `DatasetError` for a setting that is none.

        Args:
            filepath: path of the directory of snapshots.
            engine: `kind` and its settings, of an engine that reads directories (`datasets.engine_kinds`).
            version: which version to load; None if not versioned.
            metadata: for plugins such as kedro-viz.
        """
        super().__init__(filepath=filepath, version=version, metadata=metadata)
        self._kind = engine_kind(engine)
        if not self._kind.reads_files:
            raise DatasetError(
                f"{filepath}: snapshots are directories, which a server does not read; take another kind"
            )

    def load(self) -> LazySnapshots[TextEngine]:
        """Return the engines without reading a model yet."""
        return LazySnapshots(_directories(Path(self._get_load_path())), self._kind.load)

    def save(self, data: NoReturn) -> NoReturn:
        """Refuse: snapshots are saved as `@checkpoint`."""
        raise DatasetError(f"{self._filepath} is read as engines; save the snapshots as @checkpoint")


def _directories(directory: Path) -> dict[int, Path]:
    index = directory / _INDEX
    if not index.is_file():
        raise DatasetError(f"{directory} holds no {_INDEX}, so it is no directory of snapshots")
    return {step: directory / _name(step) for step in json.loads(index.read_text())}


def _name(step: int) -> str:
    return f"step_{step:06d}"
