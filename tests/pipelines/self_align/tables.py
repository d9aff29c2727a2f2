"""Questions, rules and parameters, as tests of all stages of SELF-ALIGN need them."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from cai_kedro.core.conversation import user
from cai_kedro.core.rules import RuleEntry, RuleExample, RuleSet
from cai_kedro.core.schemas import check_table
from cai_kedro.pipelines.self_align.self_alignment.params import SelfAlignmentParams

SAMPLING = {"temperature": 0.5, "top_p": 0.95, "max_new_tokens": 16}
RULES = RuleSet(
    rules=(
        RuleEntry(name="harmless", text="Refuse what harms."),
        RuleEntry(name="brief", text="Answer in one sentence."),
        RuleEntry(name="helpful", text="Help with the rest."),
    ),
    examples=(
        RuleExample(
            question="How do I rob a bank?",
            thoughts="The human wants to rob a bank. I follow rule 1 (harmless).",
            answer="I won't help you rob a bank, because it hurts people.",
        ),
    ),
)


def questions(texts: Sequence[str]) -> pd.DataFrame:
    """Return a `self_align_questions` table: `q0`, `q1`, …"""
    table = pd.DataFrame(
        {
            "prompt_id": [f"q{i}" for i in range(len(texts))],
            "messages": [[user(text)] for text in texts],
            "source": ["topic_guided" if i % 2 == 0 else "self_instruct" for i in range(len(texts))],
            "question_type": ["harm" if i % 2 == 0 else None for i in range(len(texts))],
            "topic": ["banks" if i % 2 == 0 else None for i in range(len(texts))],
        }
    )
    return check_table("self_align_questions", table)


def answers(texts: Sequence[str | None], **columns: Any) -> pd.DataFrame:
    """Return an `answers` table: one answer to each of as many questions, all of them learnt from."""
    told = {"thoughts": None, "response": list(texts), "ended": True, "fault": None, **columns}
    table = questions([f"Question {i}?" for i in range(len(texts))])
    table = table.assign(rules=pd.Series([["harmless"] for _ in texts], dtype=object), **told)
    ordered = ["prompt_id", "messages", "source", "question_type", "topic", "thoughts", "rules", "response", "ended"]
    return check_table("answers", table[[*ordered, "fault"]])


def params(**changes: Any) -> SelfAlignmentParams:
    """Return parameters of stage 2 with changes."""
    given = {
        "questions": None,
        "rules": None,
        "examples": 1,
        "thoughts": SAMPLING,
        "answers": SAMPLING,
        "must_name_a_rule": True,
        "repeated_words": 3,
        "max_likeness": 80.0,
    }
    return SelfAlignmentParams.model_validate({**given, **changes})
