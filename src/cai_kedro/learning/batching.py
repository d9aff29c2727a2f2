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
    anew from the same generator; a run that goes on says with `set_epoch` which pass is next. With `phases`, a number
    for each row, a pass takes the rows of the least number first; what fills no batch of a phase goes to the next one.
    Rows of the same number `together` follow one another: in the same batch, unless the end of one is between them.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        seed: int,
        phases: Sequence[int] | None = None,
        together: Sequence[int] | None = None,
    ) -> None:
        self.lengths = lengths
        self._together = together
        self._longest: dict[int, tuple[int, int]] = {}
        for length, number in zip(lengths, together or (), strict=bool(together)):
            self._longest[number] = max(self._longest.get(number, (0, 0)), (length, number))
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0
        self._phases = _whole_phases(phases or [0] * len(lengths), batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Say which pass the next one is."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        """Yield every row number once."""
        drawn = [self._draw(len(rows), self.seed + number) for number, rows in enumerate(self._phases)]
        self.epoch += 1
        for rows, (order, batches) in zip(self._phases, drawn, strict=True):
            yield from self._of_phase([rows[place] for place in order], batches)

    def _of_phase(self, order: list[int], batches: list[int]) -> Iterator[int]:
        order = order if self._together is None else _side_by_side(order, self._together)
        pool = BATCHES_PER_POOL * self.batch_size
        by_length = [
            row for start in range(0, len(order), pool) for row in sorted(order[start : start + pool], key=self._place)
        ]
        for batch in batches:
            yield from by_length[batch * self.batch_size : (batch + 1) * self.batch_size]
        # the incomplete batch must come last: a loader cuts batches by counting
        yield from by_length[len(batches) * self.batch_size :]

    def _draw(self, rows: int, seed: int) -> tuple[list[int], list[int]]:
        """Return an order of so many rows, and one of the whole batches, as the pass of this number draws them."""
        generator = torch.Generator().manual_seed(seed)
        for _ in range(self.epoch + 1):
            order = torch.randperm(rows, generator=generator)
            batches = torch.randperm(rows // self.batch_size, generator=generator)
        return order.tolist(), batches.tolist()

    def _place(self, row: int) -> tuple[int, int]:
        """Return what rows of a pool are sorted by; those without company stay in the order of the draw."""
        return (self.lengths[row], 0) if self._together is None else self._longest[self._together[row]]


def _side_by_side(order: list[int], together: Sequence[int]) -> list[int]:
    """Return the rows of an order with those of the same number behind the first one of them."""
    companies: dict[int, list[int]] = {}
    for row in order:
        companies.setdefault(together[row], []).append(row)
    return [row for company in companies.values() for row in company]


def _whole_phases(phases: Sequence[int], batch_size: int) -> list[list[int]]:
    """Return the row numbers of each phase, of all but the last one in whole batches."""
    numbers = sorted(set(phases))
    found: list[list[int]] = []
    left: list[int] = []
    for number in numbers:
        rows = left + [row for row, phase in enumerate(phases) if phase == number]
        whole = len(rows) if number == numbers[-1] else len(rows) // batch_size * batch_size
        found.append(rows[:whole])
        left = rows[whole:]
    return found
