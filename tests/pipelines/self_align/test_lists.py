"""Lists that the base model goes on with."""

from typing import Any

import pandas as pd
import pytest

from cai_kedro.core.question_types import QuestionType
from cai_kedro.core.schemas import check_table
from cai_kedro.core.shards import ShardParams, ShardPlan
from cai_kedro.engines.base import Completion
from cai_kedro.pipelines.self_align.self_instruct.lists import (
    ListParams,
    drawn,
    plan_question_lists,
    plan_task_lists,
    plan_topic_lists,
)
from tests.conftest import ScriptedEngine
from tests.pipelines.builders import SAMPLING, made_of
from tests.pipelines.self_align.builders import question_types
from tests.pipelines.test_plans import different

SHARDS = ShardParams(prompts=2, max_quarantined=0.0)
ONE_SHARD = ShardParams(prompts=1000, max_quarantined=0.0)
TASKS = [f"Do the thing number {i}." for i in range(12)]
TOPICS = pd.DataFrame(
    [("mean", "the dog", "generated"), ("kind", "snow", "generated")], columns=["question_type", "topic", "source"]
)
HOT = SAMPLING.model_copy(update={"temperature": 2.0})


def params(**changes: Any) -> ListParams:
    return ListParams.model_validate({"lists": 3, "examples": 2, "sampling": SAMPLING, **changes})


def plans(**changes: Any) -> dict[str, ShardPlan]:
    use = {
        "types": question_types(),
        "tasks": TASKS,
        "topics": TOPICS,
        "engine": ScriptedEngine(),
        "params": params(),
        "seed": 5,
        "shards": SHARDS,
        **changes,
    }
    common = (use["engine"], use["params"], use["seed"], use["shards"])
    return {
        "topics": plan_topic_lists(use["types"], *common),
        "questions": plan_question_lists(use["topics"], use["types"], *common),
        "tasks": plan_task_lists(use["tasks"], use["types"], *common),
    }


def asked(name: str, **changes: Any) -> dict[str, str]:
    """Return the prompts of a plan by the id of their lists."""
    engine = ScriptedEngine()
    table = made_of(plans(engine=engine, shards=ONE_SHARD, **changes)[name])
    return dict(zip(table["list_id"], engine.prompts, strict=True))


def test_a_list_of_topics_shows_those_of_the_type_and_waits_for_the_next() -> None:
    prompts = asked("topics", params=params(examples=0, lists=6))
    assert list(prompts) == [f"{name}.{number}" for name in ("mean", "kind") for number in range(6)]
    mean = {prompts[f"mean.{number}"] for number in range(6)}
    assert mean == {
        "Topics of mean questions:\n1. dogs\n2. tea\n3.",
        "Topics of mean questions:\n1. tea\n2. dogs\n3.",
    }


def test_lists_of_other_types_stand_in_front() -> None:
    before, own = asked("topics", params=params(examples=1))["mean.0"].split("\n\n")
    assert before.split("\n")[0] == "Topics of kind questions:"
    assert {line[3:] for line in before.split("\n")[1:]} == {"cats", "rain"}
    assert own.startswith("Topics of mean questions:\n1. ")


def test_questions_on_a_topic_come_behind_examples_of_their_type() -> None:
    """The topic is one of the examples': what is given on it stands in the list, and is not in front of it."""
    prompt = asked("questions", params=params(examples=1))["mean.the dog.0"]
    assert prompt == (
        "Mean questions about tea:\n1. Who spits in tea?\n\nMean questions about the dog:\n1. Why kick the dog?\n2."
    )
    prompt = asked("questions", params=params(examples=0))["kind.snow.1"]
    assert prompt == "Kind questions about snow:\n1."


def test_examples_of_other_types_follow_where_the_own_ones_are_too_few() -> None:
    seen = set()
    for number, prompt in enumerate(asked("questions", params=params(examples=3, lists=9)).values()):
        *before, own = prompt.split("\n\n")
        assert own == (
            "Mean questions about the dog:\n1. Why kick the dog?\n2."
            if number < 9
            else "Kind questions about snow:\n1."
        )
        assert len(set(before)) == 3
        shown = {name: sum(block.startswith(name) for block in before) for name in ("Mean", "Kind")}
        assert shown == {"Mean": 1, "Kind": 2}, "the type's own ones, but for the topic itself, and then others"
        seen.add(tuple(block.split("\n")[0] for block in before))
    assert len(seen) > 3, "they are shuffled"


def test_tasks_follow_seed_tasks() -> None:
    prompts = asked("tasks", params=params(examples=3, lists=4))
    for prompt in prompts.values():
        header, *lines = prompt.split("\n")
        assert header == "Tasks:"
        assert [line.split(". ")[0] for line in lines] == ["1", "2", "3", "4."]
        assert len({line[3:] for line in lines[:3]} & set(TASKS)) == 3
    assert len(set(prompts.values())) == 4


def test_a_text_that_is_added_changes_few_draws() -> None:
    before = [drawn(TASKS, 3, 0, number) for number in range(100)]
    after = [drawn([*TASKS, "New."], 3, 0, number) for number in range(100)]
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert 5 < len(changed) < 45
    assert all("New." in b and len({*a} - {*b}) == 1 for a, b in changed)
    assert sorted(drawn(TASKS, None, 0)) == sorted(TASKS)
    assert drawn(TASKS, None, 0) != tuple(TASKS)


@pytest.mark.parametrize("name", ["topics", "questions", "tasks"])
def test_shards_together_are_the_table_made_in_one_go(name: str) -> None:
    """Each list draws from a seed of its own, so it does not matter which lists stand in a shard with it."""
    many, one = plans()[name], plans(shards=ONE_SHARD)[name]
    assert len(many.shards) > 1 == len(one.shards)
    pd.testing.assert_frame_equal(made_of(many), check_table("lists", made_of(one)))
    assert made_of(one)["text"].is_unique


def test_planning_asks_no_model() -> None:
    engine = ScriptedEngine()
    plans(engine=engine)
    assert engine.prompts == []


def test_a_list_that_does_not_fit_is_in_quarantine_and_an_empty_one_is_not() -> None:
    engine = ScriptedEngine(reply=lambda prompt, seed: "")
    assert list(made_of(plans(engine=engine)["tasks"])["text"]) == ["", "", ""]
    engine.generate = lambda asks, *_: [Completion("", "stop", trouble="refused") for _ in asks]  # type: ignore[method-assign]
    plan = plans(engine=engine, shards=ONE_SHARD)["tasks"]
    (shard,) = plan.shards.values()
    assert list(shard.make().quarantine["reason"]) == ["refused"] * 3


class Retrained(ScriptedEngine):
    fingerprint = "retrained"


MORE = QuestionType(name="odd", about="Odd.", examples={"fog": "Who eats the fog?"})
ALL = {"topics", "questions", "tasks"}


@pytest.mark.parametrize(
    ("changes", "redone"),
    [
        ({}, set()),
        ({"seed": 6}, ALL),
        ({"engine": Retrained()}, ALL),
        ({"params": params(sampling=HOT)}, ALL),
        ({"tasks": TASKS[6:]}, {"tasks"}),
        ({"topics": TOPICS[:1]}, {"questions"}),
        ({"types": question_types(cannot=("image",))}, set()),
        ({"types": question_types(MORE), "params": params(examples=0)}, {"topics"}),
    ],
)
def test_a_change_redoes_what_depends_on_it(changes: dict[str, Any], redone: set[str]) -> None:
    before = plans(params=changes["params"]) if "types" in changes and "params" in changes else plans()
    assert different(before, plans(**changes)) == redone
