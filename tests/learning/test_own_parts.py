"""Every row is read once, by one process, and all processes read equally many parts."""

import pytest

from cai_kedro.learning.batching import LengthGrouped
from cai_kedro.learning.parts import OwnParts


@pytest.mark.parametrize("rows", range(1, 34))
@pytest.mark.parametrize(("world", "size"), [(2, 4), (2, 1), (4, 2), (4, 1), (8, 1)])
def test_processes_share_out_every_batch(rows: int, world: int, size: int) -> None:
    batch = 8
    lengths = [(7 * row) % 11 for row in range(rows)]
    of_ranks = []
    for rank in range(world):
        parts = OwnParts(LengthGrouped(lengths, batch, seed=1), rank, world, size)
        of_ranks.append(list(parts))
        assert len(of_ranks[-1]) == len(parts)
    assert len({len(parts) for parts in of_ranks}) == 1
    order = list(LengthGrouped(lengths, batch, seed=1))
    at_once = batch // world // size  # parts of a whole batch
    for number, start in enumerate(range(0, rows, batch)):
        read = [part for parts in of_ranks for part in parts[number * at_once : (number + 1) * at_once]]
        assert all(1 <= len(part) <= size for part in read)
        assert sorted(row for part in read for row in part if row < rows) == sorted(order[start : start + batch])
        of_each = [[len(part) for part in parts[number * at_once : (number + 1) * at_once]] for parts in of_ranks]
        assert all(sizes == of_each[0] for sizes in of_each)  # TRL gathers figures of rows


def test_every_pass_is_drawn_anew_and_can_be_chosen() -> None:
    parts = OwnParts(LengthGrouped(range(16), 4, seed=1), 0, 2, 2)
    first, second = list(parts), list(parts)
    assert first != second
    parts.set_epoch(1)
    assert list(parts) == second
