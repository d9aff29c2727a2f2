"""The policies along an RL run: `{arm}.snapshots`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from kedro.io import DatasetError

from cai_kedro.datasets.versioned import LocalVersionedDataset
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import load_language_model, save_language_model

_INDEX = "steps.json"


class LazySnapshots(Mapping[int, LanguageModel]):
    """Snapshots by step, in order; each is read when it is asked for, and not kept."""

    def __init__(self, directories: Mapping[int, Path]) -> None:
        self._directories = dict(sorted(directories.items()))

    def __getitem__(self, step: int) -> LanguageModel:
        return load_language_model(self._directories[step])

    def __iter__(self) -> Iterator[int]:
        return iter(self._directories)

    def __len__(self) -> int:
        return len(self._directories)


class SnapshotsDataset(LocalVersionedDataset[Mapping[int, LanguageModel], LazySnapshots]):
    """One model directory per step, and an index that is written with them."""

    def load(self) -> LazySnapshots:
        """Return the snapshots without reading a model yet."""
        directory = Path(self._get_load_path())
        index = directory / _INDEX
        if not index.is_file():
            raise DatasetError(f"{directory} holds no {_INDEX}, so it is no directory of snapshots")
        return LazySnapshots({step: directory / _name(step) for step in json.loads(index.read_text())})

    def save(self, data: Mapping[int, LanguageModel]) -> None:
        """Write every snapshot; raises `DatasetError` unless every key is a step, a count from 0."""
        wrong = [step for step in data if not isinstance(step, int) or step < 0]
        if wrong:
            raise DatasetError(f"{self._filepath}: snapshots are keyed by step (0, 1, …), got {wrong[:3]}")
        with self._writing() as directory:
            directory.mkdir()
            for step, snapshot in sorted(data.items()):
                save_language_model(snapshot, directory / _name(step))
            (directory / _INDEX).write_text(json.dumps(sorted(data)) + "\n")


def _name(step: int) -> str:
    return f"step_{step:06d}"
