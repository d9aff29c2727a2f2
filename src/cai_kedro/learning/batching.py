"""Batches of similar length in random order, and padding to a few sizes: no trend of length along training."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.utils.data import Sampler

from cai_kedro.engines.batching import round_up

# Sorting within this many batches keeps who meets whom random, and already removes most of the padding.
BATCHES_PER_POOL = 16


def right_padded(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """Pad rows of whole numbers on the right, to one of the lengths that batches come in: (rows, length)."""
    length = round_up(max(map(len, rows)))
    return torch.tensor([[*row, *[value] * (length - len(row))] for row in rows])


class LengthGrouped(Sampler[int]):
    """Row numbers such that each run of `batch_size` of them is a batch of rows of similar length.

    transformers' own sampler leaves the batches sorted from long to short; here they are shuffled. Every pass draws
    anew from the same generator; a run that goes on says with `set_epoch` which pass is next.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which pass the next one is."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        """Yield every row number once."""
        order, batches = self._draw()
        self.epoch += 1
        pool = BATCHES_PER_POOL * self.batch_size
        by_length = [
            row for start in range(0, len(order), pool) for row in sorted(order[start : start + pool], key=self._length)
        ]
        for batch in batches:
            yield from by_length[batch * self.batch_size : (batch + 1) * self.batch_size]
        # the incomplete batch must come last: a loader cuts batches by counting
        yield from by_length[len(batches) * self.batch_size :]

    def _draw(self) -> tuple[list[int], list[int]]:
        """Return an order of the rows, and one of the whole batches, as the pass of this number draws them."""
        generator = torch.Generator().manual_seed(self.seed)
        rows = len(self.lengths)
        for _ in range(self.epoch + 1):
            order = torch.randperm(rows, generator=generator)
            batches = torch.randperm(rows // self.batch_size, generator=generator)
        return order.tolist(), batches.tolist()

    def _length(self, row: int) -> int:
        return self.lengths[row]
