"""Which tokens are read once: plans by hand, and that every plan spells out every row."""

import random

import pytest

from cai_kedro.engines.prefix_tree import SHORTEST, Level, one_level, plan_levels, tokens_read

SHOTS = list(range(100, 140))  # what all rows begin with
WIDE = 10_000


def spelled_out(levels: list[Level], row: int) -> list[int]:
    node, ids = row, []
    for level in reversed(levels):
        ids = level.segments[node] + ids
        node = level.parents[node]
    return ids


def test_a_common_beginning_is_read_once() -> None:
    rows = [[*SHOTS, 1, 2, 3], [*SHOTS, 4], [*SHOTS, 5, 6]]
    assert plan_levels(rows, own=1, widest=WIDE) == [
        Level([SHOTS], [0]),
        Level([[1, 2, 3], [4], [5, 6]], [0, 0, 0]),
    ]


def test_groups_within_a_common_beginning() -> None:
    left, right = list(range(200, 220)), list(range(300, 320))
    rows = [[*SHOTS, *left, 1], [*SHOTS, *right, 2], [*SHOTS, *left, 3], [*SHOTS, *right, 4]]
    levels = plan_levels(rows, own=1, widest=WIDE)
    assert levels == [
        Level([SHOTS], [0]),
        Level([left, right], [0, 0]),
        Level([[1], [2], [3], [4]], [0, 1, 0, 1]),
    ]
    assert tokens_read(levels) == 40 + 2 * 20 + 4
    # with less room, only what all share
    assert [level.width for level in plan_levels(rows, own=1, widest=60)] == [61]
    uneven = [*rows, [*SHOTS, *left, 7, 8, 9]]
    assert [level.width for level in plan_levels(uneven, own=1, widest=63)] == [40, 20, 3]


def test_the_same_prompt_several_times_keeps_a_token_for_each() -> None:
    rows = [SHOTS, SHOTS, SHOTS]
    assert plan_levels(rows, own=3, widest=WIDE) == [Level([SHOTS[:-3]], [0]), Level([SHOTS[-3:]] * 3, [0] * 3)]


def test_samples_of_prompts_that_begin_alike_are_read_in_one_level() -> None:
    # two prompts that begin alike and one that does not, four samples each, and a fourth prompt once
    prompts = [[*SHOTS[:10], *range(200, 230)], [*SHOTS[:10], *range(300, 330)], list(range(400, 440))]
    rows = [prompt for prompt in prompts for _ in range(4)] + [[7, 8, 9]]
    levels = plan_levels(rows, own=1, widest=WIDE)
    assert levels == [
        Level([*(prompt[:-1] for prompt in prompts), []], [0] * 4),
        Level([*([prompt[-1]] for prompt in prompts for _ in range(4)), [7, 8, 9]], [0] * 4 + [1] * 4 + [2] * 4 + [3]),
    ]
    assert tokens_read(levels) == 4 * 39 + 13 * 3


def test_too_little_in_common_is_not_shared() -> None:
    rows = [[*range(SHORTEST - 1), 50 + i] for i in range(3)]
    assert plan_levels(rows, own=1, widest=WIDE) == one_level(rows)
    assert plan_levels([SHOTS], own=1, widest=WIDE) == one_level([SHOTS])
    shared = [[*range(SHORTEST), 50 + i] for i in range(3)]
    assert len(plan_levels(shared, own=1, widest=WIDE)) == 2


def test_sharing_that_costs_more_than_it_saves_is_left() -> None:
    # two rows of twenty share ten tokens: as a level of its own that would be padded for all the others
    rows = [[1000 + i, *range(30)] for i in range(20)]
    rows[0][:10] = rows[1][:10] = list(range(10))
    assert plan_levels(rows, own=1, widest=WIDE) == one_level(rows)


@pytest.mark.parametrize("seed", range(20))
def test_every_plan_spells_out_every_row(seed: int) -> None:
    rng = random.Random(seed)
    pieces = [[rng.randrange(5) for _ in range(rng.randrange(1, 30))] for _ in range(4)]
    rows = [
        [token for _ in range(rng.randrange(1, 5)) for token in rng.choice(pieces)] + [rng.randrange(5)]
        for _ in range(12)
    ]
    own = rng.randrange(1, 3)
    rows = [[*row, *range(own)] for row in rows]
    levels = plan_levels(rows, own, widest=rng.choice([0, 100, WIDE]))
    assert [spelled_out(levels, i) for i in range(len(rows))] == rows
    assert min(map(len, levels[-1].segments)) >= own
    assert tokens_read(levels) <= tokens_read(one_level(rows))
