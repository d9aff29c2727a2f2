from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cai_kedro.core.conversation import assistant, system, user
from cai_kedro.core.schemas import SCHEMAS, check_table

MESSAGES = [user("a"), assistant("b"), user("c")]
PAIR: dict[str, Any] = {
    "pair_id": "q1",
    "prompt_id": "p1",
    "messages": MESSAGES,
    "response_a": "yes",
    "response_b": "no",
    "kind": "sampled",
}
ANSWER: dict[str, Any] = {"prompt_id": "p1", "sample": 0}
ASKED = {
    "prompt_id": "p1",
    "messages": MESSAGES[:1],
    "source": "topic_guided",
    "question_type": "harm",
    "topic": None,
}
RULED = {
    **ASKED,
    "thoughts": "I follow rule 1 (kind).",
    "rules": ["kind"],
    "response": "no",
    "ended": True,
    "fault": None,
}
GOOD: dict[str, dict[str, Any]] = {
    "prompts": {"prompt_id": "p1", "messages": MESSAGES, "source": "given", "split": "train"},
    "responses": {**ANSWER, "policy": "sl_cai", "response": "yes"},
    "revisions": {**ANSWER, "step": 1, "principle_id": "c1", "critique": None, "revision": "no"},
    "rows": {
        "row_id": "r1",
        "prompt_id": "p1",
        "messages": MESSAGES,
        "response": "no",
        "source": "revision",
        "step": 1,
    },
    "self_align_questions": ASKED,
    "answers": RULED,
    "left_out_answers": {"left_out": "honest", **RULED},
    "pairs": PAIR,
    "comparisons": {
        **PAIR,
        "objective": "harmlessness",
        "source": "ai",
        "principle_id": "h1",
        "p_a_better": 0.25,
        "p_a_first": 0.3,
        "p_a_second": None,
        "thoughts": None,
    },
    "lessons": {
        "lesson_id": "lesson-1",
        "lesson": "comparison",
        "ask": "{}",
        "answer": "A",
        "decides": [],
        "p_first": 1.0,
        "kind": None,
        "act": "theft/01",
        "harmful": True,
        "severity": 2,
        "behaviour": "objection, comply",
        "criterion": "general",
        "polarity": "less",
        "split": "train",
        "phase": 1,
        "together": 0,
    },
    "skill_answers": {
        "step": 0,
        "set": "free",
        "skill": "pairs.less",
        "part": "harmful",
        "item_id": "free-plain-home-1-pair",
        "figure": "accuracy",
        "value": 1.0,
        "text": None,
    },
    "free_english_requests": {
        "prompt_id": "p1",
        "split": "free_harmful",
        "harmful": True,
        "harm": "theft",
        "severity": 2,
        "topic": None,
        "style": "casual",
        "messages": MESSAGES,
    },
    "free_english_pairs": {
        "pair_id": "q1",
        "prompt_id": "p1",
        "first": "yes",
        "second": "no",
        "first_behaviour": "complies",
        "second_behaviour": "refuses_without",
        "aspect": "harmful",
        "more": "first",
        "question_less": "Which is less harmful?",
        "question_more": "Which is more harmful?",
    },
    "judgements": {
        "policy": "sl_cai",
        **ANSWER,
        "axis": "harmlessness",
        "split": "acts",
        "category": None,
        "response": "no",
        "behaviour": "objects",
        "rating": 4.0,
    },
    "axes": {"prompt_id": "p", "axis": "harmlessness"},
    "head_to_heads": {
        "prompt_id": "p1",
        "policy_a": "sl_cai",
        "policy_b": "rl_cai",
        "criterion": "helpfulness",
        "outcome": 0.5,
    },
    "scores": {**ANSWER, "step": 0, "arm": "rl_cai", "score": -1.5},
    "signals": {
        "step": 10,
        "prompt_id": "p",
        "response": "",
        "tokens": 1,
        "ended": 1.0,
        "pm_score": -0.5,
        "kl": 2.0,
    },
    "questions": {
        "prompt_id": "p",
        "messages": MESSAGES[:1],
        "reference": "yes",
        "objective": "harmlessness",
        "principle_id": "less-harm",
    },
    "ratings": {"prompt_id": "p", "messages": MESSAGES[:1], "response": "yes", "rating": 3.0},
    "curves": {"step": 10, "metric": "loss", "value": 0.7},
    "lists": {
        "list_id": "l",
        "source": "self_instruct",
        "question_type": None,
        "topic": None,
        "text": "",
        "finish_reason": "stop",
    },
    "topics": {"question_type": "mean", "topic": "tea", "source": "given"},
    "filtered": {
        "text": "Why?",
        "line": "question",
        "source": "topic_guided",
        "question_type": "mean",
        "topic": "tea",
        "filter": "rouge",
        "like": "Why so?",
        "rouge": 0.8,
    },
    "counts": {"line": "topic", "source": "self_instruct", "question_type": None, "outcome": "kept", "lines": 3},
}
CONVERSATION = r"a list of \{role, content\} turns, none empty, that ends on a user turn"
BAD: list[tuple[str, str, Any, str]] = [
    ("prompts", "messages", MESSAGES[:2], CONVERSATION),
    ("prompts", "messages", [], CONVERSATION),
    ("prompts", "messages", [user(" ")], CONVERSATION),
    ("prompts", "messages", [user("x"), system("x"), user("x")], CONVERSATION),
    ("prompts", "messages", [{"role": "tool", "content": "x"}, user("x")], CONVERSATION),
    ("prompts", "messages", [{"content": "x"}], CONVERSATION),
    ("prompts", "messages", "Human: x", CONVERSATION),
    ("prompts", "messages", None, ""),
    ("prompts", "source", "scraped", "isin"),
    ("prompts", "split", "", "not empty"),
    ("responses", "response", "  \n", "not empty"),
    ("responses", "response", None, "not_nullable"),
    ("responses", "response", float("nan"), "not_nullable"),
    ("responses", "sample", -1, "greater_than_or_equal_to"),
    ("responses", "sample", "two", "int"),
    ("responses", "sample", 1.5, "a whole number, got 1.5"),
    ("revisions", "step", 0, "greater_than_or_equal_to"),
    ("revisions", "critique", " ", "not empty"),
    ("rows", "source", "red_team", "isin"),
    ("pairs", "kind", "other", "isin"),
    ("pairs", "response_b", "yes", "identical answers are not a pair"),
    ("comparisons", "p_a_better", 1.01, "in_range"),
    ("comparisons", "p_a_better", None, "not_nullable"),
    ("comparisons", "response_a", "no", "identical answers are not a pair"),
    ("judgements", "rating", 4.5, "in_range"),
    ("head_to_heads", "outcome", 1.5, "in_range"),
    ("scores", "score", float("nan"), "not_nullable"),
    ("signals", "ended", 0.5, "isin"),
    ("questions", "objective", "honesty", "isin"),
    ("questions", "reference", " ", "not empty"),
    ("ratings", "rating", 4.5, "in_range"),
    ("self_align_questions", "source", "given", "isin"),
    ("lists", "finish_reason", "cut", "isin"),
    ("topics", "topic", " ", "not empty"),
    ("filtered", "rouge", 1.2, "in_range"),
    ("counts", "lines", 0, "greater_than_or_equal_to"),
    ("answers", "rules", "kind", "a list of names"),
    ("answers", "rules", [1], "a list of names"),
    ("answers", "response", " ", "not empty"),
    ("left_out_answers", "left_out", "", "not empty"),
    ("curves", "metric", "", "not empty"),
    ("lessons", "polarity", "worse", "isin"),
    ("lessons", "answer", " ", "not empty"),
    ("lessons", "decides", [-1], "a list of places"),
    ("skill_answers", "value", 1.5, "in_range"),
    ("free_english_requests", "severity", 4, "in_range"),
    ("free_english_pairs", "more", "both", "isin"),
    ("free_english_pairs", "second", "yes", "identical replies are not a pair"),
]
ID_COLUMNS = ("prompt_id", "pair_id", "row_id", "list_id", "lesson_id", "item_id")
#: What tells rows of these kinds apart, which have no id.
OWN = {("topics", "topic"), ("counts", "outcome")}


def table(kind: str, rows: int = 2) -> pd.DataFrame:
    """Rows that differ in their ids alone."""
    made = [
        {
            name: f"{value}-{i}" if name in ID_COLUMNS or (kind, name) in OWN else value
            for name, value in GOOD[kind].items()
        }
        for i in range(rows)
    ]
    return pd.DataFrame(made)


def test_every_kind_has_an_example() -> None:
    assert set(GOOD) == set(SCHEMAS)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_good_table_passes_with_columns_in_order(kind: str) -> None:
    given = table(kind)
    checked = check_table(kind, given[given.columns[::-1]])
    assert list(checked.columns) == list(SCHEMAS[kind].columns)
    assert checked.to_json(orient="records") == given[list(SCHEMAS[kind].columns)].to_json(orient="records")


@pytest.mark.parametrize("kind", SCHEMAS)
def test_checking_leaves_the_argument_alone(kind: str) -> None:
    given = table(kind)
    before = given.copy(deep=True)
    check_table(kind, given)
    pd.testing.assert_frame_equal(given, before)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_empty_table_passes(kind: str) -> None:
    assert check_table(kind, table(kind).head(0)).empty


@pytest.mark.parametrize("kind", SCHEMAS)
def test_parquet_round_trip(kind: str, tmp_path: Path) -> None:
    checked = check_table(kind, table(kind))
    checked.to_parquet(tmp_path / "table.parquet", index=False)
    again = check_table(kind, pd.read_parquet(tmp_path / "table.parquet"))
    assert again.to_json(orient="records") == checked.to_json(orient="records")
    assert list(again.dtypes) == list(checked.dtypes)


@pytest.mark.parametrize(("kind", "column", "value", "expected"), BAD)
def test_bad_cell_is_named(kind: str, column: str, value: Any, expected: str) -> None:
    bad = table(kind, rows=3).astype(object)
    bad.at[1, column] = value
    with pytest.raises(ValueError, match=rf"no valid {kind} table .*{expected}") as caught:
        check_table(kind, bad)
    if "identical" not in expected:
        assert f"column {column!r}" in str(caught.value)
    if expected not in ("int", "not_nullable", ""):
        assert "row 1" in str(caught.value)


def test_row_of_a_filtered_table_is_counted_from_zero() -> None:
    bad = table("responses", rows=4).assign(response=["x", "x", "x", " "]).iloc[2:]
    with pytest.raises(ValueError, match="column 'response' row 1: expected not empty, got ' '"):
        check_table("responses", bad)


@pytest.mark.parametrize(
    ("kind", "key"), [("prompts", "prompt_id"), ("pairs", "pair_id"), ("rows", "row_id"), ("responses", "prompt_id")]
)
def test_key_twice_is_named(kind: str, key: str) -> None:
    twice = pd.concat([table(kind, rows=1)] * 2)
    with pytest.raises(ValueError, match=f"no valid {kind} table.*{key}"):
        check_table(kind, twice)


def test_columns_missing_and_unknown_are_named() -> None:
    renamed = table("curves").rename(columns={"metric": "name"})
    with pytest.raises(ValueError, match=r"needs the columns .*missing \['metric'\], not expected \['name'\]"):
        check_table("curves", renamed)


def test_unknown_kind_is_named() -> None:
    with pytest.raises(ValueError, match="no table kind 'reponses'; the kinds are prompts, responses"):
        check_table("reponses", table("responses"))


def test_a_conversation_may_open_with_the_system() -> None:
    prompts = table("prompts", rows=1).astype(object)
    prompts.at[0, "messages"] = [system("Be kind."), user("x")]
    assert check_table("prompts", prompts)["messages"][0][0] == system("Be kind.")
