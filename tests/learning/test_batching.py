"""Batches hold rows of similar length, each row once, in random order."""

import random
from itertools import pairwise

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


def test_rows_that_belong_together_follow_one_another() -> None:
    lengths, together = _lengths(104), [row // 2 for row in range(104)]
    order = list(LengthGrouped(lengths, 8, seed=1, together=together))
    assert sorted(order) == list(range(104))
    batches = [{together[row] for row in order[start : start + 8]} for start in range(0, 104, 8)]
    assert [len(batch) for batch in batches] == [4] * 13
    alone = list(range(104))
    assert sorted(LengthGrouped(lengths, 8, seed=1, together=alone)) == alone


def test_company_that_the_end_of_a_batch_parts_is_learnt_all_the_same() -> None:
    together = [row // 3 for row in range(50)]
    order = list(LengthGrouped(_lengths(50), 8, seed=1, together=together))
    assert sorted(order) == list(range(50))
    # a company of three lies in a row of the order, but for where two pools or the shuffled batches meet
    parted = sum(together[one] != together[other] for one, other in pairwise(order))
    assert parted <= 17 + 2 * (50 // 8)
