"""Lists that the base model goes on with, in resumable shards: of topics, of questions on them, and of tasks."""

from collections.abc import Iterable, Sequence

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.core.asks import NumberedList, Worked
from cai_kedro.core.question_types import QuestionType, QuestionTypes, topic_key
from cai_kedro.core.seeding import SeedKey, derive_seed
from cai_kedro.core.shards import Outcome, ShardParams, ShardPlan, settle
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.engines.fitting import generate_fitting, unread
from cai_kedro.templates.shards import plan_shards

ID_COLUMNS = ["list_id"]
_COLUMNS = [*ID_COLUMNS, "source", "question_type", "topic"]


class ListParams(BaseModel):
    """How many lists there are of each kind, what stands in front of them, and how they are continued."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lists: int = Field(ge=0, description="of the topics of each type; on each topic; of tasks")
    examples: int = Field(ge=0, description="worked lists in front; of tasks: seed tasks in the list")
    sampling: Sampling


def plan_topic_lists(
    question_types: QuestionTypes, engine: TextEngine, params: ListParams, seed: int, shards: ShardParams
) -> ShardPlan:
    """Plan lists of new topics for each type (→ `lists`; stage 1): its own topics in drawn order, waiting for the next.

    In front stand `params.examples` lists of topics of other types.
    """
    rows = [
        (f"{one.name}.{number}", "topic_guided", one.name, None, _topics(one, question_types, params, seed, number))
        for one in question_types.types
        for number in range(params.lists)
    ]
    return _plan(rows, engine, params, seed, shards, "topics")


def plan_question_lists(
    topics: pd.DataFrame,
    question_types: QuestionTypes,
    engine: TextEngine,
    params: ListParams,
    seed: int,
    shards: ShardParams,
) -> ShardPlan:
    """Plan lists of questions for each type and topic (`topics` → `lists`; stage 1).

    In front stand `params.examples` examples in drawn order, of the same type as far as there are any: each is a list
    about its topic. What is given on the topic itself stands in the list.
    """
    types = {one.name: one for one in question_types.types}
    rows = [
        (
            f"{row.question_type}.{row.topic}.{number}",
            "topic_guided",
            row.question_type,
            row.topic,
            _questions(types[row.question_type], str(row.topic), question_types, params, seed, number),
        )
        for row in topics.itertuples()
        for number in range(params.lists)
    ]
    return _plan(rows, engine, params, seed, shards, "questions")


def plan_task_lists(
    seed_tasks: Sequence[str],
    question_types: QuestionTypes,
    engine: TextEngine,
    params: ListParams,
    seed: int,
    shards: ShardParams,
) -> ShardPlan:
    """Plan lists of tasks after `params.examples` seed tasks each (→ `lists`; plain self-instruct, stage 1)."""
    rows = [
        (
            f"tasks.{number}",
            "self_instruct",
            None,
            None,
            NumberedList(question_types.tasks_header, drawn(seed_tasks, params.examples, seed, "tasks", number)),
        )
        for number in range(params.lists)
    ]
    return _plan(rows, engine, params, seed, shards, "tasks")


def drawn(texts: Iterable[str], n: int | None, seed: int, *key: SeedKey) -> tuple[str, ...]:
    """Draw n of some texts without replacement, in drawn order; all for None or where there are fewer.

    Each is ranked by its own hash, so a text that is added takes at most one place and moves no other one.
    """
    ranked = sorted(texts, key=lambda text: derive_seed(seed, "self_instruct", "drawn", *key, text))
    return tuple(ranked[:n])


def _topics(
    one: QuestionType, question_types: QuestionTypes, params: ListParams, seed: int, number: int
) -> NumberedList:
    """Return a list of topics that waits for the next one."""
    types = {other.name: other for other in question_types.types}
    key: tuple[SeedKey, ...] = ("topics", one.name, number)
    in_front = drawn((name for name in types if name != one.name), params.examples, seed, *key)

    def listed(of: QuestionType) -> tuple[str, ...]:
        return drawn(of.examples, None, seed, *key, of.name)

    worked = []
    for other in (types[name] for name in in_front):
        *items, last = listed(other)
        worked.append(Worked(NumberedList(question_types.over_topics(other), tuple(items)), last))
    return NumberedList(question_types.over_topics(one), listed(one), tuple(worked))


def _questions(
    one: QuestionType, topic: str, question_types: QuestionTypes, params: ListParams, seed: int, number: int
) -> NumberedList:
    """Return a list of questions on a topic that waits for the next one."""
    given = {question: (of, about) for of, about, question in question_types.examples}
    own = {question: about for about, question in one.examples.items()}
    here = [question for question, about in own.items() if topic_key(about) == topic_key(topic)]
    key: tuple[SeedKey, ...] = ("questions", one.name, topic, number)
    own_first = drawn((question for question in own if question not in here), params.examples, seed, *key)
    others = (question for question in given if question not in own)
    in_front = drawn([*own_first, *drawn(others, params.examples - len(own_first), seed, *key)], None, seed, *key)
    worked = tuple(
        Worked(NumberedList(question_types.over_questions(*given[question])), question) for question in in_front
    )
    return NumberedList(question_types.over_questions(one, topic), tuple(here), worked)


def _plan(
    rows: Sequence[tuple[str, str, str | None, str | None, NumberedList]],
    engine: TextEngine,
    params: ListParams,
    seed: int,
    shards: ShardParams,
    kind: str,
) -> ShardPlan:
    lists = pd.DataFrame(rows, columns=[*_COLUMNS, "asked"], dtype=object)

    def make(part: pd.DataFrame) -> Outcome:
        return _continue(part, engine, params.sampling, seed, kind)

    return plan_shards(
        lists,
        make,
        shards,
        id_columns=ID_COLUMNS,
        engine=engine,
        decided_by={"sampling": params.sampling, "seed": seed, "of": kind},
        kind="lists",
    )


def _continue(lists: pd.DataFrame, engine: TextEngine, sampling: Sampling, seed: int, kind: str) -> Outcome:
    """Go on with lists; a list without another line is no trouble."""
    seeds = [derive_seed(seed, "self_instruct", kind, list_id) for list_id in lists["list_id"]]
    said = generate_fitting(engine, list(lists["asked"]), sampling, seeds)
    continued = lists[_COLUMNS].assign(
        text=pd.Series([completion.text if completion else "" for completion in said], lists.index, dtype=object),
        finish_reason=pd.Series(
            [completion.finish_reason if completion else "stop" for completion in said], lists.index, dtype=object
        ),
        trouble=pd.Series([unread(completion) for completion in said], lists.index, dtype=object),
    )
    return settle(continued, ID_COLUMNS)
