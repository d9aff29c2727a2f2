"""Blocks of rows as something that Ray Data reads. Apart, so that who reads them need not import torch."""

from collections.abc import Sequence
from functools import partial

import pyarrow as pa
from ray.data import Datasource
from ray.data.block import BlockMetadata
from ray.data.datasource import ReadTask


class BlockSource(Datasource):
    """The blocks of a call as rows `id`, `asked`, each read by itself. Ray's checkpoints need a source that is read."""

    def __init__(self, asked: Sequence[str]) -> None:
        super().__init__()
        self._asked = asked

    def estimate_inmemory_data_size(self) -> int:
        """Return the bytes of all blocks, about."""
        return sum(map(len, self._asked))

    def get_read_tasks(self, parallelism: int, *args: object, **kwargs: object) -> list[ReadTask]:
        """Return one task a block, whatever `parallelism` Ray suggests."""
        return [
            ReadTask(
                partial(_table, number, asked),
                BlockMetadata(num_rows=1, size_bytes=len(asked), input_files=None, exec_stats=None),
            )
            for number, asked in enumerate(self._asked)
        ]


def _table(number: int, asked: str) -> list[pa.Table]:
    return [pa.table({"id": [number], "asked": [asked]})]
