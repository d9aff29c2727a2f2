"""Which rules the thoughts name, by type of question."""

import pandas as pd
import pytest

from cai_kedro.core.conversation import Conversation
from cai_kedro.core.judging import Judgement
from cai_kedro.pipelines.self_align.self_alignment.usage import (
    COLUMNS,
    HARM_COLUMNS,
    NO_HARM,
    NO_TYPE,
    measure_rule_usage,
    measure_rule_usage_by_harm,
)
from cai_kedro.reporting.figures.rules import draw_rule_usage, draw_rule_usage_by_harm
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


class HarmReader:
    """Names a harm of the first three questions."""

    def judge(self, messages: Conversation, response: str) -> Judgement:
        return Judgement(None, "theft" if messages[0]["content"] in {f"Question {i}?" for i in range(3)} else None)


class Silent:
    """Names no harm."""

    def judge(self, messages: Conversation, response: str) -> Judgement:
        return Judgement("refuses")


def test_shares_by_the_harm_that_the_judge_names() -> None:
    table = answers(["No.", None, "No.", "Yes.", "Yes.", "No."], fault=[None, "answer_empty", *FAULTS[2:]])
    named = table.assign(rules=pd.Series(NAMED, dtype=object))
    usage = measure_rule_usage_by_harm(named, RULES, HarmReader(), params())
    assert list(usage.columns) == HARM_COLUMNS
    cells = usage.set_index(["harm", "rule"])
    assert cells.loc[("theft", "harmless"), ["share", "n"]].tolist() == [1.0, 2], "question 1 has no answer"
    assert cells.loc[(NO_HARM, "helpful"), ["share", "n"]].tolist() == [0.5, 2], "question 4 has no thoughts"
    (grid,) = draw_rule_usage_by_harm(usage).data
    assert list(grid.y) == [f"{NO_HARM} (n = 2)", "theft (n = 2)"]


def test_a_judge_that_names_no_harm_is_told(caplog: pytest.LogCaptureFixture) -> None:
    usage = measure_rule_usage_by_harm(answers(["No."]), RULES, Silent(), params())
    assert usage.empty
    assert "which rules are named for which harm is not measured" in caplog.text
    assert draw_rule_usage_by_harm(usage).layout.meta["measured"] is False
