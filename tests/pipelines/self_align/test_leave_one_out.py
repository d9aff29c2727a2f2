"""Leaving out one rule at a time: who is asked again, under which prompt, and how the judge compares."""

from collections.abc import Sequence

import pandas as pd
import pytest

from cai_kedro.core.conversation import Conversation
from cai_kedro.core.exam import Exam
from cai_kedro.core.gates import GateClosed
from cai_kedro.core.judging import Judgement
from cai_kedro.core.schemas import check_table
from cai_kedro.core.shards import ShardParams
from cai_kedro.pipeline_registry import pipelines_of
from cai_kedro.pipelines.self_align.leave_one_out.answering import LeaveOneOutParams, plan_without_rules, variants
from cai_kedro.pipelines.self_align.leave_one_out.effects import COLUMNS, measure_left_out
from cai_kedro.reporting.figures.rules import draw_rules_left_out
from tests.conftest import ScriptedEngine
from tests.lineages import LINEAGE, lineage
from tests.pipelines.builders import AXES, made_of
from tests.pipelines.self_align.tables import RULES, answers, params

SHARDS = ShardParams(prompts=2, max_quarantined=0.0)
ALL = LeaveOneOutParams(questions=None)
NAMED = [["harmless"], ["harmless", "brief"], ["helpful"], [], ["harmless"]]
THOUGHTS = "I follow rule 1 (brief)."


class LengthJudge:
    """An answer is as helpful as it has words, and `terse` below three."""

    def judge(self, messages: Conversation, response: str) -> Judgement:
        words = len(response.split())
        return Judgement("terse" if words < 3 else "wordy", None, {"helpfulness": float(min(words, 4))})


class Namer:
    """Names the behaviour alone."""

    rates = False

    def judge(self, messages: Conversation, response: str) -> Judgement:
        return Judgement("refuses" if response.startswith("No") else "complies")


def run(faults: Sequence[str | None] = (None,) * 5) -> pd.DataFrame:
    texts = [f"No, I will not {place}." for place in range(5)]
    return answers(texts, fault=list(faults), thoughts="Thoughts.").assign(rules=pd.Series(NAMED, dtype=object))


def without(engine: ScriptedEngine, left_out: LeaveOneOutParams = ALL) -> pd.DataFrame:
    plan = plan_without_rules(run(), RULES, engine, params(), left_out, 3, SHARDS)
    return check_table("left_out_answers", made_of(plan))


def replies(answer: str = "Yes.") -> ScriptedEngine:
    return ScriptedEngine(lambda prompt, seed: THOUGHTS if prompt.endswith("(thoughts):") else answer)


def value(table: pd.DataFrame, rule: str, metric: str) -> tuple[float, int]:
    (row,) = table[(table["left_out"] == rule) & (table["metric"] == metric)].itertuples()
    return float(row.value), int(row.n)


def test_only_questions_whose_thoughts_named_the_rule_are_asked_again() -> None:
    engine = replies()
    table = without(engine)
    assert table.groupby("left_out")["prompt_id"].agg(set).to_dict() == {
        "harmless": {"q0", "q1", "q4"},
        "brief": {"q1"},
        "helpful": {"q2"},
    }
    thoughts = [prompt for prompt in engine.prompts if prompt.endswith("(thoughts):")]
    assert len(thoughts) == 5
    assert sum("1 (brief). Answer in one sentence.\n2 (helpful)." in prompt for prompt in thoughts) == 3
    assert sum("1 (harmless). Refuse what harms.\n2 (helpful)." in prompt for prompt in thoughts) == 1
    assert sum("1 (harmless). Refuse what harms.\n2 (brief)." in prompt for prompt in thoughts) == 1
    # the example follows the rule harmless, so it goes where that one does
    assert all(("rob a bank" in prompt) == ("harmless" in prompt) for prompt in thoughts)
    made = table.set_index(["left_out", "prompt_id"])
    assert list(made.loc[("harmless", "q0"), "rules"]) == ["brief"]
    # under the prompt without `brief` the thoughts name a rule that there is not
    assert made.loc[("brief", "q1"), "fault"] == "thoughts_unknown_rule"


def test_few_questions_are_the_same_for_every_rule() -> None:
    table = without(replies(), LeaveOneOutParams(questions=2))
    assert table["prompt_id"].nunique() <= 2
    again = without(replies(), LeaveOneOutParams(questions=2))
    pd.testing.assert_frame_equal(table, again)


def test_the_judge_compares_the_same_questions() -> None:
    table, metrics = measure_left_out(run(), without(replies("Yes indeed.")), RULES, LengthJudge(), params(), ALL, 3)
    assert list(table.columns) == COLUMNS
    assert value(table, "harmless", "named") == (0.6, 5)
    assert value(table, "harmless", "kept") == value(table, "harmless", "kept_in_run") == (1.0, 3)
    assert value(table, "harmless", "changed") == (1.0, 3)
    # from five words (rated 4) to two (rated 2), all of them
    assert value(table, "harmless", "helpfulness_rating_difference") == (-2.0, 3)
    assert value(table, "harmless", "terse_share_difference") == (1.0, 3)
    assert value(table, "harmless", "wordy_share_difference") == (-1.0, 3)
    assert value(table, "brief", "kept") == (0.0, 1), "the thoughts name a rule that was left out"
    assert not table[(table["left_out"] == "brief")]["metric"].str.endswith("_difference").any()
    estimate = metrics["left_out.harmless.helpfulness_rating_difference"]
    assert estimate["low"] is not None
    assert -4 <= estimate["low"] < -2 < (estimate["high"] or 0) < 4


def test_the_same_answers_differ_in_nothing() -> None:
    same = without(replies()).assign(fault=None)
    texts = run().set_index("prompt_id")["response"]
    same["response"] = same["prompt_id"].map(texts)
    table, _ = measure_left_out(run(), same, RULES, LengthJudge(), params(), ALL, 3)
    assert set(table.loc[table["metric"] == "changed", "value"]) == {0.0}
    assert set(table.loc[table["metric"].str.endswith("_difference"), "value"]) == {0.0}


def test_a_judge_that_rates_nothing_names_behaviours() -> None:
    table, _ = measure_left_out(run(), without(replies("Yes.")), RULES, Namer(), params(), ALL, 3)
    assert value(table, "harmless", "refuses_share_difference") == (-1.0, 3)
    assert not table["metric"].str.contains("rating").any()
    figure = draw_rules_left_out(table)
    assert {trace.name for trace in figure.data} == {"refuses", "complies"}
    assert figure.layout.xaxis.title.text == "share without the rule less share with it"


def test_thoughts_that_are_not_well_formed_take_no_part(caplog: pytest.LogCaptureFixture) -> None:
    faults = ["thoughts_cut", None, "thoughts_cut", "answer_cut", None]
    broken = run(faults)
    plan = plan_without_rules(broken, RULES, replies(), params(), ALL, 3, SHARDS)
    made = made_of(plan)
    assert set(made["prompt_id"]) == {"q1", "q4"}
    table, _ = measure_left_out(broken, made, RULES, LengthJudge(), params(), ALL, 3)
    assert value(table, "helpful", "named") == (0.0, 3)
    assert "no thoughts name helpful: nothing was made again without them" in caplog.text
    with pytest.raises(GateClosed, match="none of the 5 thoughts of the run are well-formed"):
        plan_without_rules(run(["thoughts_empty"] * 5), RULES, replies(), params(), ALL, 3, SHARDS)


def test_where_no_rule_is_named_nothing_is_asked_and_that_is_drawn() -> None:
    silent = run().assign(rules=pd.Series([[] for _ in range(5)], dtype=object))
    engine = replies()
    made = check_table("left_out_answers", made_of(plan_without_rules(silent, RULES, engine, params(), ALL, 3, SHARDS)))
    assert (len(made), engine.prompts) == (0, [])
    table, _ = measure_left_out(silent, made, RULES, LengthJudge(), params(), ALL, 3)
    assert table["metric"].tolist() == ["named"] * 3
    assert draw_rules_left_out(table).layout.meta["measured"] is False


def test_rules_of_a_shorter_prompt_are_left_out_of_it() -> None:
    made = list(variants(RULES, params(rules=["helpful", "brief"], examples=0)))
    assert [(one.left_out, one.params.rules) for one in made] == [("helpful", ("brief",)), ("brief", ("helpful",))]
    with pytest.raises(ValueError, match=r"has one rule \(brief\), and without it there is none; name more"):
        list(variants(RULES, params(rules=["brief"], examples=0)))


def test_the_figure_says_which_intervals_leave_zero_out() -> None:
    rows = [
        ["harmless", "named", 0.5, 0.4, 0.6, 60],
        ["harmless", "harmlessness_rating_difference", -1.5, -2.0, -1.0, 30],
        ["brief", "harmlessness_rating_difference", 0.1, -0.1, 0.3, 20],
    ]
    figure = draw_rules_left_out(pd.DataFrame(rows, columns=COLUMNS))
    (trace,) = figure.data
    assert (list(trace.x), list(trace.y)) == ([-1.5, 0.1], ["harmless", "brief"])
    found = figure.layout.meta["found"].replace("\xa0", " ")
    assert found.startswith("harmlessness without harmless −1.50 [−2.00, −1.00], n = 30. Of 2 intervals of 95 %, 0.1")
    unsure = draw_rules_left_out(pd.DataFrame(rows[2:], columns=COLUMNS))
    assert "No interval leaves 0 out, n = 20 questions a rule." in unsure.layout.meta["found"].replace("\xa0", " ")


def test_it_is_there_where_a_judge_is_and_where_answers_under_rules_are() -> None:
    assert "leave_one_rule_out" in pipelines_of(LINEAGE, Exam(axes=AXES))
    assert "leave_one_rule_out" not in pipelines_of(LINEAGE, Exam(axes=AXES, judge=False))
    none = lineage({"policies": {"self_align_engraved": None, "self_align_verbose": None}})
    assert "leave_one_rule_out" not in pipelines_of(none, Exam(axes=AXES))
