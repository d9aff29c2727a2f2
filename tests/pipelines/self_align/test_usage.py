"""Which rules the thoughts name, by type of question."""

import pandas as pd
import pytest

from cai_kedro.pipelines.self_align.self_alignment.usage import COLUMNS, NO_TYPE, measure_rule_usage
from cai_kedro.reporting.figures.rules import draw_rule_usage
from tests.pipelines.self_align.tables import RULES, answers, params

#: Questions 0, 2, 4 are of the type `harm`, the others of none.
NAMED = [["harmless"], [], ["harmless", "brief"], ["helpful"], [], ["harmless"]]
FAULTS = [None, None, "answer_cut", None, "thoughts_no_rule", None]


@pytest.fixture
def usage() -> pd.DataFrame:
    table = answers(["No."] * 6, fault=FAULTS)
    return measure_rule_usage(table.assign(rules=pd.Series(NAMED, dtype=object)), RULES, params())


def test_shares_are_of_well_formed_thoughts(usage: pd.DataFrame) -> None:
    assert list(usage.columns) == COLUMNS
    cells = usage.set_index(["question_type", "rule"])
    assert cells.loc[("harm", "harmless"), ["share", "n"]].tolist() == [1.0, 2], "the dropped one counts"
    assert cells.loc[("harm", "brief"), "share"] == 0.5
    assert cells.loc[(NO_TYPE, "harmless"), ["share", "n"]].tolist() == [pytest.approx(1 / 3), 3]
    assert (usage["low"] <= usage["share"]).all()
    assert (usage["share"] <= usage["high"]).all()
    assert len(usage) == 2 * 3, "a rule that nobody names is there, too"


def test_only_the_rules_of_the_prompt_are_counted() -> None:
    table = measure_rule_usage(answers(["No."]), RULES, params(rules=["brief", "harmless"], examples=0))
    assert table["rule"].tolist() == ["brief", "harmless"]


def test_the_figure_says_what_is_named_most(usage: pd.DataFrame) -> None:
    figure = draw_rule_usage(usage)
    (grid,) = figure.data
    assert list(grid.x) == ["harmless", "brief", "helpful"]
    assert list(grid.y) == ["harm (n = 2)", f"{NO_TYPE} (n = 3)"]
    assert list(grid.z[0]) == [100.0, 50.0, 0.0]
    assert "Most named: harm: harmless in 100\xa0% [34, 100]" in figure.layout.meta["found"]
    empty = draw_rule_usage(usage[:0])
    assert empty.layout.meta["measured"] is False
