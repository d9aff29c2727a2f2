"""Batches hold rows of similar length, each row once, in random order."""

import random

from cai_kedro.learning.batching import LengthGrouped


def _batches(lengths: list[int], size: int, seed: int) -> list[list[int]]:
    order = list(LengthGrouped(lengths, size, seed))
    return [order[start : start + size] for start in range(0, len(order), size)]


def _lengths(n: int) -> list[int]:
    rng = random.Random(0)
    return [rng.randint(10, 90) for _ in range(n)]


def test_every_row_once_also_in_the_next_pass() -> None:
    sampler = LengthGrouped(_lengths(103), 8, seed=1)
    first, second = list(sampler), list(sampler)
    assert len(sampler) == len(first) == 103
    assert sorted(first) == sorted(second) == list(range(103))
    assert first != second


def test_a_run_that_goes_on_draws_what_the_passes_in_a_row_draw() -> None:
    passes = LengthGrouped(_lengths(103), 8, seed=1)
    in_a_row = [list(passes) for _ in range(3)]
    again = LengthGrouped(_lengths(103), 8, seed=1)
    for epoch in (2, 0, 1):
        again.set_epoch(epoch)
        assert list(again) == in_a_row[epoch]


def test_little_padding_and_no_order_of_lengths() -> None:
    lengths = _lengths(512)
    batches = _batches(lengths, 8, seed=1)
    padded = sum(8 * max(lengths[row] for row in batch) for batch in batches)
    assert padded < 1.1 * sum(lengths)  # random batches: about 1.6 times
    firsts = [lengths[batch[0]] for batch in batches]
    assert firsts != sorted(firsts)
    assert firsts != sorted(firsts, reverse=True)


def test_the_seed_decides() -> None:
    lengths = _lengths(64)
    assert _batches(lengths, 8, seed=1) == _batches(lengths, 8, seed=1)
    assert _batches(lengths, 8, seed=1) != _batches(lengths, 8, seed=2)


def test_a_phase_comes_behind_the_one_before_in_whole_batches() -> None:
    lengths, phases = _lengths(103), [1 + row % 2 for row in range(103)]
    sampler = LengthGrouped(lengths, 8, seed=1, phases=phases)
    for _ in range(2):
        order = list(sampler)
        assert sorted(order) == list(range(103))
        first = order[:48]  # 52 rows are of the first phase, four of them fill no batch
        assert {phases[row] for row in first} == {1}
        assert [phases[row] for row in order[48:]].count(1) == 4
    assert list(LengthGrouped(lengths, 8, seed=1, phases=[3] * 103)) == list(LengthGrouped(lengths, 8, seed=1))
