"""What SL-CAI is fine-tuned on."""

import pandas as pd
import pytest
from pydantic import ValidationError

from cai_kedro.core.conversation import user
from cai_kedro.core.schemas import check_table
from cai_kedro.pipelines.sl_cai.rows import RowParams, build_sl_rows
from tests.pipelines.builders import prompt_table

RED_TEAM = prompt_table([f"Bad {i}?" for i in range(4)])
HELPFUL = prompt_table([f"Good {i}?" for i in range(3)], "h")
REVISIONS = pd.DataFrame(
    [(f"p{i}", 0, step, "c0", "Bad.", f"Revision {step} of {i}.") for i in range(4) for step in (1, 2)],
    columns=["prompt_id", "sample", "step", "principle_id", "critique", "revision"],
)
HELPFUL_RESPONSES = pd.DataFrame(
    [(f"h{i}", sample, "helpful_rlhf", f"Help {sample} for {i}.") for i in range(3) for sample in (0, 1)],
    columns=["prompt_id", "sample", "policy", "response"],
)


def build(table: pd.DataFrame = REVISIONS, **changes: object) -> pd.DataFrame:
    params = RowParams.model_validate({"revisions": "all", "max_revisions": None, "max_helpful": None, **changes})
    return check_table("rows", build_sl_rows(RED_TEAM, table, HELPFUL, HELPFUL_RESPONSES, params, 6))


def test_revisions_of_all_steps_and_helpful_answers_are_rows() -> None:
    rows = build()
    assert rows["source"].value_counts().to_dict() == {"revision": 8, "helpful": 6}
    row = rows.set_index("row_id").loc["p2.0.1"]
    assert row["messages"] == [user("Bad 2?")]
    assert row["response"] == "Revision 1 of 2."
    assert rows.set_index("row_id").loc["h1.1.0", "response"] == "Help 1 for 1."


def test_the_last_revisions_alone() -> None:
    rows = build(revisions="last", max_helpful=0)
    assert sorted(rows["response"]) == [f"Revision 2 of {i}." for i in range(4)]


def test_limits_count_per_source() -> None:
    rows = build(max_revisions=3, max_helpful=2)
    assert rows["source"].value_counts().to_dict() == {"revision": 3, "helpful": 2}


def test_rows_are_mixed_and_an_added_row_moves_no_other() -> None:
    rows, fewer = build(), build(REVISIONS[:-1])
    assert rows["source"].tolist() != sorted(rows["source"], reverse=True)
    added = set(rows["row_id"]) - set(fewer["row_id"])
    assert rows[~rows["row_id"].isin(added)].reset_index(drop=True).equals(fewer)


def test_another_choice_of_revisions_is_refused() -> None:
    with pytest.raises(ValidationError, match="'all' or 'last'"):
        RowParams.model_validate({"revisions": "first", "max_revisions": None, "max_helpful": None})
