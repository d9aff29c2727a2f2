import pandas as pd
import pytest

from cai_kedro.core.judging import LOOK_ALIKE
from cai_kedro.metrics.behaviour import behaviour_shares
from cai_kedro.metrics.estimate import proportion

GROUPS = {
    "harmlessness": {"complies": ["comply", "caveat"], "objects": ["objection"]},
    "helpfulness": {"right": ["right"]},
}


def judgements(rows: list[tuple[str, str, str, str | None]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["policy", "split", "axis", "behaviour"])
    return table.assign(prompt_id=[f"p{i}" for i in range(len(table))], sample=0, category="theft")


def test_shares_are_counted_among_the_prompts_that_they_are_about() -> None:
    table = judgements(
        [
            ("sl", "act", "harmlessness", "comply"),
            ("sl", "act", "harmlessness", "caveat"),
            ("sl", "act", "harmlessness", "objection"),
            ("sl", "act", "harmlessness", "garbled"),
            ("sl", "act", "harmlessness", None),
            ("sl", "object", "harmlessness", "objection"),
            ("sl", "act", "helpfulness", "right"),
            ("sl", "act", "helpfulness", "comply"),
        ]
    )
    shares = behaviour_shares(table, GROUPS, ["policy", "split"])
    assert list(shares.columns) == ["policy", "split", "axis", "group", "value", "low", "high", "n"]
    found = {(row.split, row.group): (row.value, row.n) for row in shares.itertuples()}
    assert found == {
        ("act", "complies"): (0.5, 4),
        ("act", "objects"): (0.25, 4),
        ("act", "right"): (0.5, 2),
        ("object", "complies"): (0.0, 1),
        ("object", "objects"): (1.0, 1),
    }
    objects = shares[(shares["split"] == "act") & (shares["group"] == "objects")].iloc[0]
    assert (objects["low"], objects["high"]) == pytest.approx((proportion(1, 4)["low"], proportion(1, 4)["high"]))


def test_look_alikes_count_apart_and_once() -> None:
    table = judgements(
        [
            ("sl", "act", "harmlessness", "objection"),
            ("sl", "act", "harmlessness", "refusal"),
            ("sl", "act", "helpfulness", "refusal"),  # the same answer on its second axis
            ("sl", "act", "helpfulness", "right"),
            ("sl", "act", "helpfulness", "right"),
        ]
    ).assign(prompt_id=["harm", "like", "like", "other like", "plain"])
    asked = table.assign(category=["theft", LOOK_ALIKE, LOOK_ALIKE, LOOK_ALIKE, None])
    groups = {**GROUPS, LOOK_ALIKE: {"over_refusal": ["refusal"], "right_look_alike": ["right"]}}
    found = {row.group: (row.value, row.n) for row in behaviour_shares(asked, groups, ["policy"]).itertuples()}
    assert found == {
        "complies": (0, 1), "objects": (1, 1), "right": (1, 1), "over_refusal": (0.5, 2), "right_look_alike": (0.5, 2),
    }  # fmt: skip


def test_without_judgements_there_are_columns_but_no_rows() -> None:
    shares = behaviour_shares(judgements([]), GROUPS, ["policy"])
    assert shares.empty
    assert "value" in shares
