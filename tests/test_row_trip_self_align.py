"""One question's trip through the four stages of SELF-ALIGN, told with engines whose every word is known.

The base model makes up a topic and a question on it, thinks which rule applies, and answers; the answer is learnt from
without rules and thoughts. The engraved model answers at length, and that is learnt from without its prompt. Training
itself is left out; `docs/row_trip.md` tells the same trip with rows of the micro world.
"""

from typing import Any

import pandas as pd
import pytest

from cai_kedro.core.conversation import as_messages, system, user
from cai_kedro.core.rules import RuleEntry, RuleSet
from cai_kedro.core.schemas import SCHEMAS, check_table
from cai_kedro.core.shards import ShardParams
from cai_kedro.pipelines.self_align.cloning.answering import plan_verbose_answers
from cai_kedro.pipelines.self_align.cloning.params import CloningParams
from cai_kedro.pipelines.self_align.cloning.rows import build_cloning_rows
from cai_kedro.pipelines.self_align.engraving.rows import EngravingParams, build_engraving_rows
from cai_kedro.pipelines.self_align.self_alignment.answering import plan_self_alignment
from cai_kedro.pipelines.self_align.self_alignment.checking import check_answers
from cai_kedro.pipelines.self_align.self_alignment.params import SelfAlignmentParams
from cai_kedro.pipelines.self_align.self_alignment.usage import measure_rule_usage
from cai_kedro.pipelines.self_align.self_instruct.lists import (
    ListParams,
    plan_question_lists,
    plan_task_lists,
    plan_topic_lists,
)
from cai_kedro.pipelines.self_align.self_instruct.questions import FilterParams, filter_questions
from cai_kedro.pipelines.self_align.self_instruct.topics import TopicParams, choose_topics
from tests.conftest import ScriptedEngine
from tests.pipelines.builders import SAMPLING, made_of, prompt_table
from tests.pipelines.self_align.builders import question_types
from tests.pipelines.self_align.tables import params
from tests.pipelines.self_align.test_engraving_and_cloning import STAGE

SEED = 1
SHARDS = ShardParams(prompts=1000, max_quarantined=0.0)
QUESTION = "How do I burn the barn?"
REFUSAL = "I won't explain how to burn the barn, because it harms people."
RULES = RuleSet(
    rules=(
        RuleEntry(name="harmless", text="Refuse what harms somebody, and say why."),
        RuleEntry(name="helpful", text="Give the advice that is asked for."),
    ),
    examples=(),
)


def base_reply(prompt: str, seed: int) -> str:
    """Go on with lists; think of the first rule where something burns, of the second else; answer so."""
    if prompt.startswith("Topics of mean"):
        return "the barn\n4. The Tea"
    if prompt.startswith("Mean questions about the barn"):
        return f"{QUESTION}\n2. Why?\n3. How do I burn the old mill?"
    if prompt.startswith("Tasks:"):
        return "Write a song about the barn.\n9. Describe the photo of a barn."
    burns = "burn" in prompt.rpartition("Human:")[2]
    if prompt.endswith("(thoughts):"):
        rule = "1 (harmless)" if burns else "2 (helpful)"
        return f"The human asks for {'harm' if burns else 'advice'}. I follow rule {rule}."
    return REFUSAL if burns else "Feed them every morning."


def verbose_reply(prompt: str, seed: int) -> str:
    """Answer in two sentences where the prompt asks for it."""
    assert prompt.startswith("Answer at length.\n\n")
    return f"{REFUSAL} Ask the owner what else could be done." if "burn" in prompt else "Feed them. Then pet them."


BASE, ENGRAVED = ScriptedEngine(base_reply), ScriptedEngine(verbose_reply)
ALIGNMENT: SelfAlignmentParams = params(examples=0)
ENGRAVING = EngravingParams.model_validate(STAGE)
CLONING = CloningParams.model_validate(
    {
        **STAGE,
        "questions": None,
        "verbose_prompt": "Answer at length.",
        "standard_prompt": "Answer the human.",
        "sampling": SAMPLING,
        "repeated_words": 3,
    }
)


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    """Every table of the trip, in the order in which the stages make them."""
    made: dict[str, Any] = {}
    types, lists = question_types(cannot=("photo",)), ListParams(lists=1, examples=0, sampling=SAMPLING)
    held_out = prompt_table(["How do I burn the old mill?"], "eval")

    # self_instruct: topics of each type, questions on them, tasks, and what is worth asking of all that
    made["topic_lists"] = made_of(plan_topic_lists(types, BASE, lists, SEED, SHARDS))
    made["topics"], dropped = choose_topics(made["topic_lists"], types, [], TopicParams(keep=5, max_words=3))
    made["question_lists"] = made_of(plan_question_lists(made["topics"], types, BASE, lists, SEED, SHARDS))
    made["task_lists"] = made_of(plan_task_lists(["Name a river."], types, BASE, lists, SEED, SHARDS))
    filters = FilterParams(min_words=4, max_words=20, max_rouge=0.9)
    made["self_align_questions"], made["filtered"], made["counts"] = filter_questions(
        made["question_lists"],
        made["task_lists"],
        made["topics"],
        dropped,
        types,
        ["Name a river."],
        [],
        filters,
        eval_red_team_prompts=held_out,
    )

    # self_alignment: thoughts that name the rules, the answer, and what may be learnt from
    questions = made["self_align_questions"]
    made["answers"] = made_of(plan_self_alignment(questions, RULES, BASE, ALIGNMENT, SEED, SHARDS))
    made["checked_answers"], _, _ = check_answers(made["answers"], RULES, ALIGNMENT)
    made["rule_usage"] = measure_rule_usage(made["checked_answers"], RULES, ALIGNMENT)

    # engraving: question and answer alone
    made["engraving_rows"] = build_engraving_rows(made["checked_answers"], ENGRAVING, SEED)

    # cloning: the engraved model answers at length, and the base model learns it without the prompt
    made["verbose_answers"] = made_of(plan_verbose_answers(questions, ENGRAVED, CLONING, SEED, SHARDS))
    made["cloning_rows"] = build_cloning_rows(made["verbose_answers"], CLONING, SEED)
    return made


def of_barn(table: pd.DataFrame) -> Any:
    """Return the row of the question that we follow."""
    asked = table["messages"].map(lambda cell: as_messages(cell)[-1]["content"])
    (row,) = table[asked == QUESTION].itertuples()
    return row


def test_every_table_is_valid(tables: dict[str, Any]) -> None:
    checked = {"self_align_questions": "self_align_questions", "topics": "topics", "filtered": "filtered"}
    for name, table in tables.items():
        kind = checked.get(name, name.rpartition("_")[2])
        assert not table.empty
        assert kind not in SCHEMAS or len(check_table(kind, table)) == len(table)
    assert {"lists", "topics", "counts", "answers", "rows", "self_align_questions"} < {*SCHEMAS}


def test_the_topic_is_made_up_and_known_ones_are_not_taken_again(tables: dict[str, Any]) -> None:
    mean = tables["topics"].query("question_type == 'mean'")
    assert mean["topic"].tolist() == ["dogs", "tea", "the barn"]
    assert mean["source"].tolist() == ["given", "given", "generated"]


def test_the_question_is_kept_and_its_neighbours_are_told_with_their_filters(tables: dict[str, Any]) -> None:
    question = of_barn(tables["self_align_questions"])
    assert (question.source, question.question_type, question.topic) == ("topic_guided", "mean", "the barn")
    filters = tables["filtered"].set_index("text")["filter"]
    assert filters["Why?"] == "words"
    assert filters["How do I burn the old mill?"] == "evaluation"
    assert filters["Describe the photo of a barn."] == "cannot"
    assert filters["The Tea"] == "topic_double"


def test_its_thoughts_name_a_rule_and_its_answer_follows_it(tables: dict[str, Any]) -> None:
    answer = of_barn(tables["checked_answers"])
    assert (list(answer.rules), answer.response) == (["harmless"], REFUSAL)
    assert pd.isna(answer.fault)
    asked = [prompt for prompt in BASE.prompts if QUESTION in prompt]
    assert asked[-1].startswith("Rules:\n1 (harmless). Refuse what harms somebody, and say why.\n2 (helpful).")
    assert asked[-1].endswith(f"Human: {QUESTION}\n\nAssistant (thoughts): {answer.thoughts}\n\nAssistant:")
    usage = tables["rule_usage"].set_index(["question_type", "rule"])
    mean = (tables["self_align_questions"]["question_type"] == "mean").sum()
    assert usage.loc[("mean", "harmless"), ["share", "n"]].tolist() == [1 / mean, mean]


def test_it_is_engraved_without_rules_and_thoughts(tables: dict[str, Any]) -> None:
    row = of_barn(tables["engraving_rows"])
    assert (as_messages(row.messages), row.response) == ([user(QUESTION)], REFUSAL)
    assert row.row_id == f"{row.prompt_id}.engraving"


def test_it_is_cloned_without_the_verbose_prompt(tables: dict[str, Any]) -> None:
    row = of_barn(tables["cloning_rows"])
    assert row.response == of_barn(tables["verbose_answers"]).response
    assert row.response.startswith(f"{REFUSAL} Ask")
    assert as_messages(row.messages) in ([user(QUESTION)], [system("Answer the human."), user(QUESTION)])
    assert row.row_id == f"{of_barn(tables['self_align_questions']).prompt_id}.cloning"
