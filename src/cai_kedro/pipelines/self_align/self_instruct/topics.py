"""The topics of each type of questions: those that people gave, and new ones out of the continued lists."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.core.question_types import QuestionTypes, topic_key
from cai_kedro.pipelines.self_align.self_instruct.lines import (
    Check,
    Line,
    filtered_table,
    first_fault,
    lines_of,
    wrong_characters,
)
from cai_kedro.templates.training_prompts import phrase_finder

logger = logging.getLogger(__name__)


class TopicParams(BaseModel):
    """Which new topics are taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep: int = Field(ge=0, description="at most so many new topics of each type")
    max_words: int = Field(ge=1)


def choose_topics(
    topic_lists: pd.DataFrame, question_types: QuestionTypes, held_out_phrases: Sequence[str], params: TopicParams
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pick new topics out of continued lists (`lists` → `topics`, `filtered`; stage 1), behind those that are given.

    A topic is there once in a type, whatever its case, article or plural's ending. Lines that are no topic, or hold a
    held-out phrase, are left out, and told with the filter that took them.
    """
    checks = _checks(question_types, held_out_phrases, params)
    rows = [(one.name, topic, "given") for one in question_types.types for topic in one.examples]
    kept = {one.name: {topic_key(topic): topic for topic in one.examples} for one in question_types.types}
    given = {name: len(topics) for name, topics in kept.items()}
    left_out: list[Line] = []
    for raw in lines_of(topic_lists):
        line = replace(raw, text=raw.text.rstrip(" .,;") or raw.text)
        own = kept[str(line.question_type)]
        fault = line.fault or first_fault(line.text, checks)
        like = own.get(topic_key(line.text)) if fault is None else None
        if like is not None:
            fault = "topic_double"
        elif fault is None and len(own) - given[str(line.question_type)] >= params.keep:
            fault = "topic_limit"
        if fault is not None:
            left_out.append(replace(line, fault=fault, like=like))
            continue
        own[topic_key(line.text)] = line.text
        rows.append((str(line.question_type), line.text, "generated"))
    topics = pd.DataFrame(rows, columns=["question_type", "topic", "source"])
    order = {name: place for place, name in enumerate(kept)}
    topics = topics.sort_values("question_type", key=lambda names: names.map(order), kind="stable", ignore_index=True)
    logger.info(
        "%d topics, %d of them new; %d lines left out",
        len(topics),
        (topics["source"] == "generated").sum(),
        len(left_out),
    )
    return topics, filtered_table(left_out, "topic")


def _checks(question_types: QuestionTypes, held_out_phrases: Sequence[str], params: TopicParams) -> Sequence[Check]:
    cannot, held_out = phrase_finder(question_types.cannot), phrase_finder(held_out_phrases)
    return (
        lambda text: "topic_words" if len(text.split()) > params.max_words else None,
        wrong_characters,
        lambda text: "cannot" if cannot(text) else None,
        lambda text: "held_out" if held_out(text) else None,
    )
