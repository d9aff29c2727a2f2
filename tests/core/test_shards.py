"""No row is lost: what goes into a shard comes out as rows or in quarantine."""

from collections.abc import Callable

import pandas as pd
import pytest

from cai_kedro.core.shards import (
    Outcome,
    Shard,
    ShardPlan,
    assemble,
    ids_of,
    quarantine_table,
    run_shard,
    settle,
)

COLUMNS = ("prompt_id", "sample")


def responses(*texts: str, first: int = 0) -> pd.DataFrame:
    ids = [f"p{first + i}" for i in range(len(texts))]
    return pd.DataFrame({"prompt_id": ids, "sample": 0, "policy": "x", "response": list(texts)})


def made(*texts: str, first: int = 0, **quarantine: str) -> Callable[[], Outcome]:
    reasons = {f"{key}.0": reason for key, reason in quarantine.items()}
    return lambda: Outcome(responses(*texts, first=first), quarantine_table(reasons))


def plan(**shards: tuple[tuple[str, ...], Callable[[], Outcome]]) -> ShardPlan:
    return ShardPlan(
        ids=tuple(row_id for ids, _ in shards.values() for row_id in ids),
        id_columns=COLUMNS,
        shards={name: Shard(ids, "", make) for name, (ids, make) in shards.items()},
        decided_by={},
        kind="responses",
        max_quarantined=1.0,
        finish=lambda rows: rows,
        tokens=lambda: None,
    )


def test_an_id_is_its_columns_joined() -> None:
    assert ids_of(responses("a", "b"), COLUMNS) == ["p0.0", "p1.0"]


def test_rows_in_trouble_leave_with_their_first_reason_and_all_rows_of_their_id() -> None:
    table = pd.DataFrame({"id": ["a", "a", "b", "a"], "x": [1, 2, 3, 4], "trouble": [None, "one", None, "two"]})
    rows, quarantine = settle(table, ["id"])
    assert rows.to_dict("records") == [{"id": "b", "x": 3}]
    assert quarantine.to_dict("records") == [{"id": "a", "reason": "one"}]


def test_without_trouble_every_row_stays() -> None:
    rows, quarantine = settle(responses("a", "b").assign(trouble=pd.Series([None, None], dtype=object)), COLUMNS)
    pd.testing.assert_frame_equal(rows, responses("a", "b"))
    assert quarantine.empty


def test_a_malformed_row_goes_to_quarantine() -> None:
    shard = plan(one=(("p0.0", "p1.0", "p2.0"), made("Yes.", " ", "No.")))
    rows, quarantine = run_shard(shard, "one")
    assert rows["prompt_id"].tolist() == ["p0", "p2"]
    assert quarantine.to_dict("records") == [
        {"id": "p1.0", "reason": "malformed: response should be not empty, got ' '"}
    ]


def test_a_row_without_a_number_is_malformed() -> None:
    def make() -> Outcome:
        scores = {"prompt_id": ["p0", "p1"], "sample": 0, "step": 0, "arm": "x", "score": [float("nan"), 1.0]}
        return Outcome(pd.DataFrame(scores), quarantine_table({}))

    shards = plan(one=(("p0.0", "p1.0"), make))
    rows, quarantine = run_shard(ShardPlan(**{**vars(shards), "kind": "scores"}), "one")
    assert rows["prompt_id"].tolist() == ["p1"]
    assert quarantine["id"].tolist() == ["p0.0"]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (made("a"), "2 rows went in, 1 came out and 0 are in quarantine: 1 lost such as 'p1.0'"),
        (made("a", "b", "c"), "1 not asked for such as 'p2.0'"),
        (made("a", "b", p1="why"), "1 in both such as 'p1.0'"),
        (made("a", p7="why"), "1 lost such as 'p1.0', 1 not asked for such as 'p7.0'"),
    ],
)
def test_what_goes_in_must_come_out(make: Callable[[], Outcome], told: str) -> None:
    with pytest.raises(RuntimeError, match=f"shard one: .*{told}"):
        run_shard(plan(one=(("p0.0", "p1.0"), make)), "one")


def test_the_table_has_the_order_of_the_plan() -> None:
    whole = plan(one=(("p2.0", "p3.0"), made("c", "d", first=2)), two=(("p0.0", "p1.0"), made("b", first=1, p0="why")))
    whole = ShardPlan(**{**vars(whole), "ids": ("p0.0", "p1.0", "p2.0", "p3.0")})
    table, quarantine = assemble(whole, [run_shard(whole, name) for name in whole.shards])
    assert table["response"].tolist() == ["b", "c", "d"]
    assert quarantine["id"].tolist() == ["p0.0"]


def test_a_table_with_a_shard_missing_is_refused() -> None:
    whole = plan(one=(("p0.0",), made("a")), two=(("p1.0",), made("b", first=1)))
    with pytest.raises(RuntimeError, match="the table: 2 rows went in, 1 came out"):
        assemble(whole, [run_shard(whole, "one")])
