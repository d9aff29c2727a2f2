"""The columns of every table, checked when it is saved.

A table's name ends on its kind (`red_team_prompts`, `sl_rows`, `ai_comparisons`), and the kind fixes the schema.
Tables are long and keyed by `prompt_id`, so that any row can be walked back to the prompt, the principle and the
model that made it (docs/row_trip.md).
"""

from typing import Any

import pandas as pd
import pandera.pandas as pa

from cai_kedro.core.behaviours import BEHAVIOURS
from cai_kedro.core.conversation import as_messages


def _is_conversation(cell: Any) -> bool:
    try:
        messages = as_messages(cell)
    except (KeyError, TypeError):
        return False
    return bool(messages) and all(
        turn["role"] in (("system", "user", "assistant") if place == 0 else ("user", "assistant"))
        and isinstance(turn["content"], str)
        and turn["content"].strip()
        for place, turn in enumerate(messages)
    )


def _ends_on_user(cell: Any) -> bool:
    return _is_conversation(cell) and as_messages(cell)[-1]["role"] == "user"


def _messages() -> pa.Column:
    return pa.Column(
        object,
        pa.Check(
            lambda column: column.map(_ends_on_user).astype(bool),
            error="a list of {role, content} turns, none empty, that ends on a user turn (a system turn only first)",
        ),
    )


def _text(nullable: bool = False) -> pa.Column:
    return pa.Column(str, pa.Check(lambda c: c.str.strip().str.len() > 0, error="not empty"), nullable=nullable)


def _key(*, unique: bool = False) -> pa.Column:
    return pa.Column(str, pa.Check(lambda c: c.str.len() > 0, error="not empty"), unique=unique)


def _one_of(*values: str) -> pa.Column:
    return pa.Column(str, pa.Check.isin(values))


def _probability(nullable: bool = False) -> pa.Column:
    return pa.Column(float, pa.Check.in_range(0, 1), nullable=nullable)


def _table(columns: dict[str, pa.Column], unique: list[str] | None = None, **extra: Any) -> pa.DataFrameSchema:
    return pa.DataFrameSchema(columns, strict=True, ordered=True, coerce=True, unique=unique, **extra)


def _is_names(cell: Any) -> bool:
    return not isinstance(cell, str) and all(isinstance(name, str) and name for name in cell)


def _is_places(cell: Any) -> bool:
    return not isinstance(cell, str) and all(int(place) == place >= 0 for place in cell)


_ASKED = {
    "prompt_id": _key(unique=True),
    "messages": _messages(),
    "source": _one_of("topic_guided", "self_instruct"),
    "question_type": pa.Column(str, nullable=True),
    "topic": pa.Column(str, nullable=True),
}
_ANSWER = {
    **_ASKED,
    "thoughts": _text(nullable=True),
    "rules": pa.Column(object, pa.Check(lambda c: c.map(_is_names).astype(bool), error="a list of names")),
    "response": _text(nullable=True),
    "ended": pa.Column(bool),
    "fault": pa.Column(str, nullable=True),
}
_PAIR = {
    "pair_id": _key(unique=True),
    "prompt_id": _key(),
    "messages": _messages(),
    "response_a": _text(),
    "response_b": _text(),
    # `mismatched`: one answer was given to another, similar prompt, so that not to the point is in the data
    "kind": _one_of("sampled", "mismatched", "recorded"),
}
PAIR_COLUMNS = list(_PAIR)
_DIFFERENT = pa.Check(
    lambda table: table["response_a"] != table["response_b"], error="identical answers are not a pair"
)

SCHEMAS: dict[str, pa.DataFrameSchema] = {
    # conversations that wait for an answer; `split` is `train` or the name of what was held out
    "prompts": _table(
        {
            "prompt_id": _key(unique=True),
            "messages": _messages(),
            "source": _one_of("given", "generated"),
            "split": _key(),
        }
    ),
    "responses": _table(
        {"prompt_id": _key(), "sample": pa.Column(int, pa.Check.ge(0)), "policy": _key(), "response": _text()},
        unique=["policy", "prompt_id", "sample"],
    ),
    # one row per critique-revision round; `critique` is null in the direct arm
    "revisions": _table(
        {
            "prompt_id": _key(),
            "sample": pa.Column(int, pa.Check.ge(0)),
            "step": pa.Column(int, pa.Check.ge(1)),
            "principle_id": _key(),
            "critique": _text(nullable=True),
            "revision": _text(),
        },
        unique=["prompt_id", "sample", "step"],
    ),
    # what is fine-tuned on: SL-CAI on revisions (`step`, 0 for helpful samples), SELF-ALIGN on answers under rules
    # (`self_aligned`) and on verbose ones
    "rows": _table(
        {
            "row_id": _key(unique=True),
            "prompt_id": _key(),
            "messages": _messages(),
            "response": _text(),
            "source": _one_of("revision", "helpful", "self_aligned", "verbose"),
            "step": pa.Column(int, pa.Check.ge(0)),
        }
    ),
    # SELF-ALIGN: questions that the base model made up, with the type and topic that they were made up for
    "self_align_questions": _table(dict(_ASKED)),
    # and what was answered: thoughts and the rules that they name (none in stage 4), whether the answer ended by
    # itself, and why it is not learnt from, null where it is
    "answers": _table(dict(_ANSWER)),
    # the same without one of the rules
    "left_out_answers": _table({"left_out": _key(), **_ANSWER, "prompt_id": _key()}, unique=["left_out", "prompt_id"]),
    "pairs": _table(dict(_PAIR), checks=_DIFFERENT),
    # a pair with the probability that A is better. `p_a_first` and `p_a_second` are the two option orders of an AI
    # label, both as P(A better); null for human labels. `thoughts` is the sampled chain of thought.
    "comparisons": _table(
        {
            **_PAIR,
            "objective": _key(),  # an axis
            "source": _one_of("human", "ai", "ai_cot"),
            "principle_id": pa.Column(str, nullable=True),
            "p_a_better": _probability(),
            "p_a_first": _probability(nullable=True),
            "p_a_second": _probability(nullable=True),
            "thoughts": pa.Column(str, nullable=True),
        },
        checks=_DIFFERENT,
    ),
    # prompts of RL that the labeller rewards: the reply that others are compared with, and under which principle
    "questions": _table(
        {
            "prompt_id": _key(unique=True),
            "messages": _messages(),
            "reference": _text(),
            "objective": _one_of("harmlessness", "helpfulness"),
            "principle_id": _key(),
        }
    ),
    # which axes a held-out prompt counts on
    "axes": _table({"prompt_id": _key(), "axis": _key()}, unique=["prompt_id", "axis"]),
    # what the judge of the evaluation says of one answer: behaviour, and the rating from 0 (worst) to 4 (best) on each
    # axis of its prompt; null where the judge names no behaviour, or does not rate the axis
    "judgements": _table(
        {
            "policy": _key(),
            "prompt_id": _key(),
            "sample": pa.Column(int, pa.Check.ge(0)),
            "axis": _key(),
            "split": _key(),
            "category": pa.Column(str, nullable=True),
            "response": _text(),
            "behaviour": pa.Column(str, nullable=True),
            "rating": pa.Column(float, pa.Check.in_range(0, 4), nullable=True),
        },
        unique=["policy", "prompt_id", "sample", "axis"],
    ),
    # `outcome` is 1 if policy A won, 0.5 for a tie, 0 if it lost; a share where several people compared
    "head_to_heads": _table(
        {
            "prompt_id": _key(),
            "policy_a": _key(),
            "policy_b": _key(),
            "criterion": _key(),  # an axis
            "outcome": _probability(),
        },
        unique=["criterion", "policy_a", "policy_b", "prompt_id"],
    ),
    # a preference model's score (log-odds units) of one answer; `step` is the revision step
    "scores": _table(
        {
            "prompt_id": _key(),
            "sample": pa.Column(int, pa.Check.ge(0)),
            "step": pa.Column(int, pa.Check.ge(0)),
            "arm": _key(),
            "score": pa.Column(float),
        },
        unique=["arm", "prompt_id", "sample", "step"],
    ),
    # one reply per prompt of the policies along an RL run; step 0 is the start policy, which `kl` (nats) is against;
    # `ended` is 1 for a reply that ends by itself and does not go on with somebody else's turn
    "signals": _table(
        {
            "step": pa.Column(int, pa.Check.ge(0)),
            "prompt_id": _key(),
            "response": pa.Column(str),
            "tokens": pa.Column(int, pa.Check.ge(0)),
            "ended": pa.Column(float, pa.Check.isin([0.0, 1.0])),
            # null where no preference model is
            "pm_score": pa.Column(float, nullable=True),
            "kl": pa.Column(float),
        },
        unique=["step", "prompt_id"],
    ),
    # how harmful people find an answer, from 0 (not at all) to 4
    "ratings": _table(
        {
            "prompt_id": _key(),
            "messages": _messages(),
            "response": _text(),
            "rating": pa.Column(float, pa.Check.in_range(0, 4)),
        }
    ),
    # numbered lists that the base model went on with: of topics (type), questions (type and topic) or tasks (neither)
    "lists": _table(
        {
            "list_id": _key(unique=True),
            "source": _one_of("topic_guided", "self_instruct"),
            "question_type": pa.Column(str, nullable=True),
            "topic": pa.Column(str, nullable=True),
            "text": pa.Column(str),
            "finish_reason": _one_of("stop", "length"),
        }
    ),
    "topics": _table(
        {"question_type": _key(), "topic": _text(), "source": _one_of("given", "generated")},
        unique=["question_type", "topic"],
    ),
    # lines of these lists that were left out, and by which filter; where that is likeness, which text a line is like,
    # and by how much (ROUGE-L)
    "filtered": _table(
        {
            "text": _text(),
            "line": _one_of("topic", "question"),
            "source": _one_of("topic_guided", "self_instruct"),
            "question_type": pa.Column(str, nullable=True),
            "topic": pa.Column(str, nullable=True),
            "filter": _key(),
            "like": pa.Column(str, nullable=True),
            "rouge": _probability(nullable=True),
        }
    ),
    # what became of all of these lines: kept, or the filter that took them
    "counts": _table(
        {
            "line": _one_of("topic", "question"),
            "source": _one_of("topic_guided", "self_instruct"),
            "question_type": pa.Column(str, nullable=True),
            "outcome": _key(),
            "lines": pa.Column(int, pa.Check.ge(1)),
        },
        unique=["line", "source", "question_type", "outcome"],
    ),
    # lessons in the skills of the method, with the truth behind them (`englishworld.lessons.make_lessons`); `ask` is
    # JSON of a `core.asks` ask
    "lessons": _table(
        {
            "lesson_id": _key(unique=True),
            "lesson": _key(),
            "ask": _text(),
            "answer": _text(),
            "decides": pa.Column(object, pa.Check(lambda c: c.map(_is_places).astype(bool), error="a list of places")),
            "p_first": _probability(nullable=True),
            "kind": pa.Column(str, nullable=True),
            "act": pa.Column(str, nullable=True),
            "harmful": pa.Column("boolean", nullable=True),
            "severity": pa.Column("Int64", pa.Check.ge(0), nullable=True),
            "behaviour": pa.Column(str, nullable=True),
            "criterion": pa.Column(str, nullable=True),
            "polarity": pa.Column(str, pa.Check.isin(["less", "more"]), nullable=True),
            "split": _key(),
            "phase": pa.Column(int, pa.Check.ge(1)),
            "together": pa.Column(int, pa.Check.ge(0)),
        }
    ),
    # what a model that is taught said of one item at one step, as figures from 0 to 1; `text` is null where a letter is
    # read
    "skill_answers": _table(
        {
            "step": pa.Column(int, pa.Check.ge(0)),
            "set": _one_of("held_out", "free"),
            "skill": _key(),
            "part": _key(),
            "item_id": _key(),
            "figure": _key(),
            "value": _probability(),
            "text": pa.Column(str, nullable=True),
        },
        unique=["step", "set", "skill", "item_id", "figure"],
    ),
    # free English (`cai_kedro.free_english`): requests written by hand; severity 0 is harmless
    "free_english_requests": _table(
        {
            "prompt_id": _key(unique=True),
            "split": _one_of("free_harmful", "free_look_alike", "free_plain"),
            "harmful": pa.Column(bool),
            "harm": pa.Column(str, nullable=True),
            "severity": pa.Column(int, pa.Check.in_range(0, 3)),
            "topic": pa.Column(str, nullable=True),
            "style": _key(),
            "messages": _messages(),
        },
        checks=pa.Check(lambda table: table["harmful"] == (table["severity"] > 0), error="harmful has a severity"),
    ),
    # and two replies to each: `more` is the one that has more of the aspect
    "free_english_pairs": _table(
        {
            "pair_id": _key(unique=True),
            "prompt_id": _key(),
            "first": _text(),
            "second": _text(),
            "first_behaviour": _one_of(*BEHAVIOURS),
            "second_behaviour": _one_of(*BEHAVIOURS),
            "aspect": _key(),
            "more": _one_of("first", "second"),
            "question_less": _text(),
            "question_more": _text(),
        },
        checks=pa.Check(lambda table: table["first"] != table["second"], error="identical replies are not a pair"),
    ),
    # training curves, long
    "curves": _table({"step": pa.Column(int, pa.Check.ge(0)), "metric": _key(), "value": pa.Column(float)}),
}


def _refuse_fractions(kind: str, schema: pa.DataFrameSchema, table: pd.DataFrame) -> None:
    # coercion to int would cut them off without a word
    for name in (name for name, column in schema.columns.items() if str(column.dtype).startswith("int")):
        values = pd.to_numeric(table[name], errors="coerce").reset_index(drop=True)
        fractions = values[values.notna() & (values % 1 != 0)]
        if len(fractions):
            raise ValueError(
                f"this is no valid {kind} table ({len(fractions)} faults): column {name!r} row {fractions.index[0]}: "
                f"expected a whole number, got {fractions.iloc[0]!s}"
            )


def empty_table(kind: str) -> pd.DataFrame:
    """Return a table of that kind without rows."""
    return check_table(kind, pd.DataFrame(columns=list(SCHEMAS[kind].columns)))


def check_table(kind: str, table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with its columns in order and of the right type.

    Raises `ValueError` that names the kind, the column, the first bad rows and what was expected.
    """
    checked, failures = _validated(kind, table)
    if checked is None:
        told = "; ".join(
            f"column {case['column']!r} row {case['index']}: expected {case['check']}, got {case['failure_case']!r}"
            for case in failures.head(3).to_dict("records")
        )
        raise ValueError(f"this is no valid {kind} table ({len(failures)} faults): {told}")
    return checked


def row_faults(kind: str, table: pd.DataFrame) -> dict[int, str]:
    """Return what is wrong with single rows: position in the table → the first fault.

    Raises `ValueError` where more is wrong than values: a missing or unknown column.
    """
    _, failures = _validated(kind, table)
    faults: dict[int, str] = {}
    for case in failures.dropna(subset=["index"]).to_dict("records"):
        told = f"malformed: {case['column']} should be {case['check']}, got {str(case['failure_case'])[:80]!r}"
        faults.setdefault(int(case["index"]), told)
    return faults


def _validated(kind: str, table: pd.DataFrame) -> tuple[pd.DataFrame | None, pd.DataFrame]:
    """Return the valid table (None if there is a fault) and pandera's cases of failure."""
    if kind not in SCHEMAS:
        raise ValueError(f"no table kind {kind!r}; the kinds are {', '.join(SCHEMAS)}")
    schema = SCHEMAS[kind]
    missing = [name for name in schema.columns if name not in table.columns]
    unknown = [name for name in table.columns if name not in schema.columns]
    if missing or unknown:
        raise ValueError(
            f"a {kind} table needs the columns {list(schema.columns)}: missing {missing}, not expected {unknown}"
        )
    _refuse_fractions(kind, schema, table)
    try:
        valid = schema.validate(table[list(schema.columns)].reset_index(drop=True), lazy=True)
        return valid, pd.DataFrame(columns=["column", "check", "failure_case", "index"])
    except pa.errors.SchemaErrors as error:
        return None, error.failure_cases
