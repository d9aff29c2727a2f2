"""A choice of rows belongs to the rows."""

import pandas as pd

from cai_kedro.templates.selection import choose

TABLE = pd.DataFrame({"prompt_id": [f"p{i}" for i in range(50)], "n": range(50)})


def test_chosen_rows_stay_in_table_order() -> None:
    chosen = choose(TABLE, 10, 7, "x")
    assert len(chosen) == 10
    assert chosen["n"].is_monotonic_increasing
    assert chosen["n"].tolist() != list(range(10))


def test_no_limit_keeps_all() -> None:
    assert len(choose(TABLE, None, 7, "x")) == 50
    assert len(choose(TABLE, 60, 7, "x")) == 50


def test_an_added_row_displaces_at_most_one() -> None:
    before = set(choose(TABLE[:-1], 10, 7, "x")["prompt_id"])
    after = set(choose(TABLE, 10, 7, "x")["prompt_id"])
    assert len(before - after) <= 1


def test_a_smaller_choice_is_part_of_a_larger_one() -> None:
    assert set(choose(TABLE, 5, 7, "x")["prompt_id"]) < set(choose(TABLE, 10, 7, "x")["prompt_id"])


def test_the_key_and_the_seed_matter() -> None:
    chosen = [tuple(choose(TABLE, 10, seed, key)["prompt_id"]) for seed, key in ((7, "x"), (8, "x"), (7, "y"))]
    assert len(set(chosen)) == 3
