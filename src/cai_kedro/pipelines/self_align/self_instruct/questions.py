"""The questions out of the continued lists that are worth asking: one by one in order, and unlike all others."""

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.core.conversation import as_messages, user
from cai_kedro.core.gates import GateClosed
from cai_kedro.core.question_types import QuestionTypes
from cai_kedro.metrics.rouge import near_duplicates
from cai_kedro.pipelines.self_align.self_instruct.lines import (
    Check,
    Line,
    counts_table,
    filtered_table,
    first_fault,
    lines_of,
    wrong_characters,
)
from cai_kedro.templates.training_prompts import human_turns, phrase_finder

logger = logging.getLogger(__name__)

_COLUMNS = ["prompt_id", "messages", "source", "question_type", "topic"]


class FilterParams(BaseModel):
    """Which questions are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_words: int = Field(ge=1)
    max_words: int = Field(ge=1)
    max_rouge: float = Field(gt=0, lt=1, description="more alike to a kept one than this, by ROUGE-L: dropped")


def filter_questions(
    question_lists: pd.DataFrame,
    task_lists: pd.DataFrame,
    topics: pd.DataFrame,
    topics_filtered: pd.DataFrame,
    question_types: QuestionTypes,
    seed_tasks: Sequence[str],
    held_out_phrases: Sequence[str],
    params: FilterParams,
    **held_out: pd.DataFrame,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Keep the questions that pass every filter (`lists` ×2 → `self_align_questions`, `filtered`, `counts`; stage 1).

    Questions on topics come first, then those of plain self-instruct. The last filter drops what is more alike than
    `params.max_rouge` to a seed task, an example, a question that was kept before (`rouge`) or what a human says in a
    prompt of the evaluation (`evaluation`; the tables `held_out`). `prompt_id` is a hash of the text, so a question
    keeps its id, and with it every later draw, whatever else is made up. `filtered` and `counts` tell of topics, too.

    Raises `GateClosed` where no question is left.
    """
    checks = _checks(question_types, held_out_phrases, params)
    lines = [
        line if line.fault else replace(line, fault=first_fault(line.text, checks))
        for line in (*lines_of(question_lists), *lines_of(task_lists))
    ]
    evaluated = [
        text for table in held_out.values() for cell in table["messages"] for text in human_turns(as_messages(cell))
    ]
    given = [*seed_tasks, *(question for _, _, question in question_types.examples)]
    lines = _without_doubles(lines, evaluated, given, params.max_rouge)
    kept = [line for line in lines if line.fault is None]
    _refuse_none(lines, kept)
    questions = _table(kept)
    filtered = pd.concat([topics_filtered, filtered_table(lines, "question")], ignore_index=True)
    new = topics[topics["source"] == "generated"]
    every = pd.concat([new.assign(line="topic", source="topic_guided"), questions.assign(line="question")])
    return questions, filtered, counts_table(every, filtered)


def _checks(question_types: QuestionTypes, held_out_phrases: Sequence[str], params: FilterParams) -> Sequence[Check]:
    cannot, held_out = phrase_finder(question_types.cannot), phrase_finder(held_out_phrases)
    return (
        lambda text: None if params.min_words <= len(text.split()) <= params.max_words else "words",
        wrong_characters,
        lambda text: "cannot" if cannot(text) else None,
        lambda text: "held_out" if held_out(text) else None,
    )


def _without_doubles(
    lines: Sequence[Line], evaluated: Sequence[str], given: Sequence[str], max_rouge: float
) -> list[Line]:
    """Note of every line without a fault whether it is like what is known, or like one before it that is kept."""
    known = [*evaluated, *given]
    left = [line.text for line in lines if line.fault is None]
    near = iter(near_duplicates(known, left, max_rouge))
    texts = [*known, *left]

    def looked_at(line: Line) -> Line:
        alike = next(near) if line.fault is None else None
        if alike is None:
            return line
        fault = "evaluation" if alike.place < len(evaluated) else "rouge"
        return replace(line, fault=fault, like=texts[alike.place], rouge=alike.rouge)

    return [looked_at(line) for line in lines]


def _table(lines: Sequence[Line]) -> pd.DataFrame:
    rows = [
        (
            f"self-align-{hashlib.blake2b(line.text.encode(), digest_size=6).hexdigest()}",
            [user(line.text)],
            line.source,
            line.question_type,
            line.topic,
        )
        for line in lines
    ]
    return pd.DataFrame(rows, columns=_COLUMNS, dtype=object)


def _refuse_none(lines: Sequence[Line], kept: Sequence[Line]) -> None:
    taken = Counter(line.fault for line in lines if line.fault)
    told = ", ".join(f"{number} {fault}" for fault, number in taken.most_common())
    logger.info("%d lines, %d kept as questions; left out: %s", len(lines), len(kept), told or "none")
    if not kept:
        raise GateClosed(
            f"no question is left for SELF-ALIGN, of {len(lines)} lines ({told or 'the model wrote none'}): look at "
            f"self_align_question_lists and self_align_task_lists, make more lists (self_align.self_instruct), or take "
            f"a larger model"
        )
