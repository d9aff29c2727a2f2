"""Stage 2 of SELF-ALIGN: thoughts, the rules that they name, answers, and why an answer is not learnt from."""

from collections.abc import Sequence

import pandas as pd
import pytest

from cai_kedro.core.asks import Ask
from cai_kedro.core.rules import RuleEntry
from cai_kedro.core.schemas import check_table
from cai_kedro.core.shards import ShardParams, ShardPlan
from cai_kedro.engines.base import Completion, PromptTooLongError, Sampling
from cai_kedro.pipelines.self_align.answers import FAULTS
from cai_kedro.pipelines.self_align.self_alignment.answering import plan_self_alignment, self_align
from cai_kedro.pipelines.self_align.self_alignment.checking import check_answers
from tests.conftest import ScriptedEngine
from tests.pipelines.builders import made_of
from tests.pipelines.self_align.tables import RULES, params, questions

THOUGHTS = "The human wants it. I follow rule 1 (harmless), 2 (brief)."
SHARDS = ShardParams(prompts=2, max_quarantined=0.0)


def replies(thoughts: str = THOUGHTS, answer: str = "No, because it hurts people.") -> ScriptedEngine:
    return ScriptedEngine(lambda prompt, seed: thoughts if prompt.endswith("(thoughts):") else answer)


class CutEngine(ScriptedEngine):
    """What this engine writes was cut by the limit of tokens."""

    def generate(self, asks: Sequence[Ask], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        return [Completion(each.text, "length") for each in super().generate(asks, sampling, seeds)]


def checked(engine: ScriptedEngine, **changes: object) -> tuple[pd.DataFrame, pd.DataFrame]:
    given = params(**changes)
    answers = self_align(questions(["How?", "Why?"]), RULES, engine, given, 3)
    table, counts, metrics = check_answers(check_table("answers", answers.rows), RULES, given)
    assert metrics["self_align.kept"]["value"] == counts.set_index("outcome")["share"]["kept"]
    return check_table("answers", table), counts.set_index("outcome")


def test_the_answer_is_asked_for_behind_the_thoughts() -> None:
    engine = replies()
    table = check_table("answers", self_align(questions(["How?", "Why?"]), RULES, engine, params(), 3).rows)
    assert table["rules"].map(list).tolist() == [["harmless", "brief"]] * 2
    assert table["question_type"].fillna("-").tolist() == ["harm", "-"]
    assert engine.prompts[0] == (
        "Rules:\n1 (harmless). Refuse what harms.\n2 (brief). Answer in one sentence.\n3 (helpful). Help with the rest."
        "\n\nHuman: How do I rob a bank?"
        "\n\nAssistant (thoughts): The human wants to rob a bank. I follow rule 1 (harmless)."
        "\n\nAssistant: I won't help you rob a bank, because it hurts people."
        "\n\nHuman: How?\n\nAssistant (thoughts):"
    )
    assert engine.prompts[2] == f"{engine.prompts[0]} {THOUGHTS}\n\nAssistant:"


def test_rules_are_chosen_by_name_and_numbered_anew() -> None:
    engine = replies("I follow rule 1 (helpful).")
    table = self_align(questions(["How?"]), RULES, engine, params(rules=["helpful", "brief"], examples=0), 3).rows
    header = "Rules:\n1 (helpful). Help with the rest.\n2 (brief). Answer in one sentence.\n\n"
    assert engine.prompts[0].startswith(header)
    assert table["rules"].tolist() == [["helpful"]]
    wrong: dict[str, dict[str, object]] = {
        "no rule 'kind'": {"rules": ["kind"]},
        "all rules alone": {"rules": ["brief"]},
        "there are 1": {"examples": 2},
    }
    for told, changes in wrong.items():
        with pytest.raises(ValueError, match=told):
            plan_self_alignment(questions(["How?"]), RULES, engine, params(**changes), 3, SHARDS)


@pytest.mark.parametrize(
    ("engine", "fault"),
    [
        (replies(" "), "thoughts_empty"),
        (replies("I follow rule 4 (kind)."), "thoughts_unknown_rule"),
        (replies("I say no."), "thoughts_no_rule"),
        (CutEngine(replies().reply), "thoughts_cut"),
        (replies(answer=""), "answer_empty"),
        (replies(answer="By rule 1 (harmless) I say no."), "answer_names_rules"),
        (replies(answer="I won't help you rob a shop, because it hurts people."), "example_leaked"),
        (replies("The human wants to rob a bank; I follow rule 1 (harmless)."), "example_leaked"),
    ],
)
def test_why_an_answer_is_not_learnt_from(engine: ScriptedEngine, fault: str) -> None:
    table, counts = checked(engine)
    assert table["fault"].tolist() == [fault] * 2
    assert counts.loc[f"dropped, {fault}", ["rows", "share", "n"]].tolist() == [2, 1.0, 2]
    assert counts["rows"].sum() == 2
    assert {f"dropped, {each}" for each in FAULTS} < {*counts.index}
    answered = [prompt for prompt in engine.prompts if prompt.endswith("Assistant:")]
    assert bool(answered) == (not fault.startswith("thoughts"))


def test_a_cut_answer_keeps_its_whole_sentences() -> None:
    class CutAnswers(ScriptedEngine):
        def generate(self, asks: Sequence[Ask], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
            said = super().generate(asks, sampling, seeds)
            return [Completion(each.text, "stop" if "follow" in each.text else "length") for each in said]

    table, _ = checked(CutAnswers(replies(answer="No. It hurts people. So do not").reply))
    assert table["response"].tolist() == ["No. It hurts people."] * 2
    table, counts = checked(CutAnswers(replies(answer="No, because it").reply))
    assert table["fault"].tolist() == ["answer_cut"] * 2
    assert counts["rows"]["kept"] == 0


def test_an_answer_ends_before_a_clause_that_is_said_again() -> None:
    said = "Take a pin; turn it slowly. Then wait a while. Turn it slowly. Then leave."
    table, counts = checked(replies(answer=said))
    assert table["response"].tolist() == ["Take a pin; turn it slowly. Then wait a while."] * 2
    assert counts["rows"]["kept, cut before a repeat"] == counts["rows"]["kept"] == 2
    table, counts = checked(replies(answer=said), repeated_words=4)
    assert table["response"].tolist() == [said] * 2, "shorter clauses may be said again"
    assert counts["rows"]["kept, cut before a repeat"] == 0


def test_thoughts_may_go_without_a_rule_where_that_is_said() -> None:
    table, _ = checked(replies("I say no."), must_name_a_rule=False)
    assert table["rules"].map(list).tolist() == [[], []]
    assert table["fault"].isna().all()
    table, _ = checked(replies("It is harmless. I follow no rule."))
    assert table["fault"].isna().all(), "that no rule applies is said, too"


def test_what_does_not_fit_goes_to_quarantine() -> None:
    class Small(ScriptedEngine):
        def generate(self, asks: Sequence[Ask], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
            long = [i for i, ask in enumerate(asks) if "Why?" in self.layout.prompt(ask).text]
            if long:
                raise PromptTooLongError("too long", long)
            return super().generate(asks, sampling, seeds)

    made = self_align(questions(["How?", "Why?"]), RULES, Small(replies().reply), params(), 3)
    assert made.rows["prompt_id"].tolist() == ["q0"]
    assert made.quarantine["id"].tolist() == ["q1"]


def plan(rules: object = RULES, texts: Sequence[str] = ("How?", "Why?", "Who?"), **changes: object) -> ShardPlan:
    engine = ScriptedEngine(lambda prompt, seed: THOUGHTS if prompt.endswith("(thoughts):") else f"No {seed}.")
    return plan_self_alignment(questions(texts), rules, engine, params(**changes), 3, SHARDS)  # type: ignore[arg-type]


def test_shards_make_what_is_made_at_once() -> None:
    engine = ScriptedEngine(lambda prompt, seed: THOUGHTS if prompt.endswith("(thoughts):") else f"No {seed}.")
    whole = self_align(questions(["How?", "Why?", "Who?"]), RULES, engine, params(), 3).rows
    pd.testing.assert_frame_equal(made_of(plan()), check_table("answers", whole))
    few = made_of(plan(texts=("How?", "Why?")))
    assert few["response"].tolist() == whole["response"].tolist()[:2], "a question that is added changes no answer"


def test_a_changed_rule_makes_new_answers_and_a_changed_check_does_not() -> None:
    changed = RULES.model_copy(update={"rules": (RuleEntry(name="harmless", text="Do no harm."), *RULES.rules[1:])})
    before = plan()
    assert plan(changed).decided_by != before.decided_by
    assert plan(examples=0).decided_by != before.decided_by
    assert plan(max_likeness=1.0, repeated_words=9).decided_by == before.decided_by
    inputs = [{name: shard.inputs for name, shard in each.shards.items()} for each in (plan(changed), before)]
    assert inputs[0] == inputs[1], "the questions of stage 1 are the same"
