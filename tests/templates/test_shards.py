"""Shards belong to prompts: what is added, and what changes, touches as few of them as can be."""

import pandas as pd
import pytest

from cai_kedro.core.conversation import user
from cai_kedro.core.shards import Outcome, ShardParams, ShardPlan, quarantine_table
from cai_kedro.templates import shards as room
from cai_kedro.templates.shards import digest, plan_shards
from tests.conftest import ScriptedEngine


def planned(prompts: int, size: int, **decided_by: object) -> ShardPlan:
    table = pd.DataFrame(
        {
            "prompt_id": [f"p{i}" for i in range(prompts) for _ in range(2)],
            "sample": [0, 1] * prompts,
            "messages": [[user(f"{i}?")] for i in range(prompts) for _ in range(2)],
        }
    )
    return plan_shards(
        table,
        lambda part: Outcome(part, quarantine_table({})),
        ShardParams(prompts=size, max_quarantined=0.0),
        id_columns=["prompt_id", "sample"],
        engine=ScriptedEngine(),
        decided_by=decided_by,
        kind=None,
    )


def test_a_table_that_fits_is_one_shard_in_its_own_order() -> None:
    plan = planned(8, 8)
    assert list(plan.shards) == ["00000-of-00001"]
    assert plan.shards["00000-of-00001"].ids == plan.ids
    assert plan.ids[:3] == ("p0.0", "p0.1", "p1.0")


def test_every_row_is_in_one_shard_beside_the_others_of_its_prompt() -> None:
    plan = planned(200, 30)
    assert [name[-8:] for name in plan.shards] == ["of-00008"] * 8
    assert sorted(row_id for shard in plan.shards.values() for row_id in shard.ids) == sorted(plan.ids)
    for shard in plan.shards.values():
        assert shard.ids[0::2] == tuple(row_id.replace(".1", ".0") for row_id in shard.ids[1::2])
        assert set(shard.make().rows["prompt_id"] + "." + shard.make().rows["sample"].astype(str)) == set(shard.ids)


def test_a_prompt_that_is_added_changes_one_shard() -> None:
    few, many = (planned(n, 30) for n in (200, 201))
    inputs = {name: shard.inputs for name, shard in few.shards.items()}
    assert sum(inputs[name] != shard.inputs for name, shard in many.shards.items()) == 1
    assert few.decided_by == many.decided_by


def test_a_table_without_rows_is_one_empty_shard() -> None:
    assert [shard.ids for shard in planned(0, 8).shards.values()] == [()]


def test_what_decides_is_named() -> None:
    plan = planned(3, 8, seed=1)
    assert set(plan.decided_by) == {"model", "engine", "code", "version", "seed"}
    other = planned(3, 8, seed=2)
    assert {name for name in plan.decided_by if plan.decided_by[name] != other.decided_by[name]} == {"seed"}


def test_what_has_no_digest_is_refused() -> None:
    with pytest.raises(TypeError, match="a shard cannot depend on a object, which has no digest"):
        digest({"model": object()})


def test_the_code_of_the_stage_and_of_the_engine_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = planned(3, 8).decided_by
    for part, module in (("code", __name__), ("engine", ScriptedEngine.__module__)):
        monkeypatch.setattr(room, "code_of", lambda *modules, other=module: {name: name == other for name in modules})
        changed = planned(3, 8).decided_by
        monkeypatch.setattr(room, "code_of", lambda *modules: dict.fromkeys(modules, False))
        assert {name for name in changed if changed[name] != planned(3, 8).decided_by[name]} == {part}
    monkeypatch.undo()
    assert planned(3, 8).decided_by == before
