"""Checkpoints of a training that has a loop of its own, and no Hugging Face trainer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from cai_kedro.learning.checkpoint_writer import CheckpointWriter
from cai_kedro.learning.checkpoints import ParamsWithCheckpoints, RunFolder, run_folder

STATE = "state.pt"


class LoopCheckpoints:
    """What a training goes on from: numbers, texts and tensors in dicts, lists and tuples."""

    def __init__(self, training: str, folder: RunFolder) -> None:
        resumed = folder.newest(training)
        #: What the newest checkpoint holds, None where there is none.
        self.state: dict[str, Any] | None = torch.load(resumed / STATE, weights_only=True) if resumed else None
        self._writer = CheckpointWriter(training, folder, resumed)

    def at(self, step: int, last: bool, state: Callable[[], dict[str, Any]]) -> None:
        """Write a checkpoint of the state behind so many steps, if one is due."""

        def fill(place: Path) -> None:
            torch.save(state(), place / STATE)

        if self._writer.is_time(last):
            self._writer.write(step, fill)


@contextmanager
def loop_checkpoints(
    training: str, params: ParamsWithCheckpoints, data: object, seed: int
) -> Iterator[LoopCheckpoints | None]:
    """Lend a training its checkpoints, None where `params.checkpoints` is; raises `ValueError` as `run_folder` does."""
    with run_folder(training, params, [], data, seed) as folder:
        if folder is None:
            yield None
            return
        yield LoopCheckpoints(training, folder)
