"""Batches within a budget, and what becomes of one that does not fit into memory."""

import pytest
import torch

from cai_kedro.engines.batching import OutOfMemoryError, is_out_of_memory, length_sorted_batches, round_up, run_batches


def test_rows_of_one_length_stand_with_those_that_begin_alike() -> None:
    rows = [[1, 1, 5], [2, 2, 5], [1, 1, 4], [2, 2, 4], [9, 9]]
    assert length_sorted_batches([3, 3, 3, 3, 2], 6, rows) == [[2, 0], [3, 1], [4]]


def test_batches_come_in_few_sizes() -> None:
    assert [round_up(n) for n in (0, 1, 8, 9)] == [0, 8, 8, 16]
    sizes = [len(batch) for batch in length_sorted_batches([5] * 50, 100)]
    assert sizes == [16, 16, 16, 2]
    # no room for so many, or not that many rows
    assert [len(batch) for batch in length_sorted_batches([5] * 9, 25)] == [5, 4]
    assert [len(batch) for batch in length_sorted_batches([5] * 7, 100)] == [7]


class Memory:
    """Room for so many rows at once."""

    def __init__(self, rows: int, error: Exception | None = None) -> None:
        self.rows, self.tried = rows, []
        self.error = error or torch.OutOfMemoryError("CUDA out of memory")

    def run(self, batch: list[int]) -> None:
        self.tried.append(batch)
        if len(batch) > self.rows:
            raise self.error


def test_batches_are_halved_from_the_first_that_is_too_large(caplog: pytest.LogCaptureFixture) -> None:
    memory = Memory(rows=3)
    run_batches([[0, 1], [2, 3, 4, 5, 6], [7, 8, 9], [10]], memory.run, max_batch_tokens=100)
    assert memory.tried == [[0, 1], [2, 3, 4, 5, 6], [2, 3, 4], [5, 6], [7, 8], [9], [10]]
    assert "set max_batch_tokens to 50" in caplog.text


def test_a_second_time_stops_with_advice() -> None:
    memory = Memory(rows=2)
    with pytest.raises(OutOfMemoryError, match="max_batch_tokens=100: set it to at most 25"):
        run_batches([[0, 1, 2, 3, 4, 5]], memory.run, max_batch_tokens=100)
    assert memory.tried == [[0, 1, 2, 3, 4, 5], [0, 1, 2]]


def test_other_errors_are_not_about_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        run_batches([[0, 1]], Memory(0, RuntimeError("shapes do not match")).run, 10)


def test_the_cpu_says_it_in_words() -> None:
    with pytest.raises(RuntimeError) as too_much:
        torch.empty(1 << 52)
    assert is_out_of_memory(too_much.value)
