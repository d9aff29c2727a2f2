"""Stages of SELF-ALIGN that sample, each in a process of its own, killed (SIGKILL) at a chosen moment.

Moments are counted: around each call of the engine, and around each flush and rename of a shard or table. The engine is
scripted, and what it says depends on the seed of the row.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cai_kedro.core.shards import ShardParams, ShardPlan
from cai_kedro.datasets import durable
from cai_kedro.datasets.shards_dataset import ShardsDataset
from cai_kedro.pipelines.self_align.cloning.answering import plan_verbose_answers
from cai_kedro.pipelines.self_align.leave_one_out.answering import LeaveOneOutParams, plan_without_rules
from cai_kedro.pipelines.self_align.self_alignment.answering import plan_self_alignment
from cai_kedro.pipelines.self_align.self_instruct.lists import (
    ListParams,
    plan_question_lists,
    plan_task_lists,
    plan_topic_lists,
)
from tests.conftest import ScriptedEngine
from tests.pipelines.builders import SAMPLING
from tests.pipelines.self_align.builders import question_types
from tests.pipelines.self_align.tables import RULES, answers, params, questions
from tests.pipelines.self_align.test_engraving_and_cloning import CLONING

SHARDS = ShardParams(prompts=2, max_quarantined=0.0)
SEED = 3
_LISTS = ListParams(lists=3, examples=1, sampling=SAMPLING)
_TASKS = [f"Do the task number {i}." for i in range(9)]
_ASKED = questions([f"How do I do the thing number {i}?" for i in range(7)])
_TOPICS = pd.DataFrame(
    [("mean", "the dog", "generated"), ("kind", "snow", "generated")], columns=["question_type", "topic", "source"]
)


def _reply(prompt: str, seed: int) -> str:
    return f"I follow rule 1 (harmless), number {seed}." if prompt.endswith("(thoughts):") else f"No, for {seed}."


def _left_out(engine: ScriptedEngine) -> ShardPlan:
    told = answers([f"No, not {i}." for i in range(7)], thoughts="Thoughts.")
    return plan_without_rules(told, RULES, engine, params(), LeaveOneOutParams(questions=None), SEED, SHARDS)


#: Table → how it is planned, and its kind.
STAGES: dict[str, tuple[Callable[[ScriptedEngine], ShardPlan], str]] = {
    "topic_lists": (lambda engine: plan_topic_lists(question_types(), engine, _LISTS, SEED, SHARDS), "lists"),
    "question_lists": (
        lambda engine: plan_question_lists(_TOPICS, question_types(), engine, _LISTS, SEED, SHARDS),
        "lists",
    ),
    "task_lists": (
        lambda engine: plan_task_lists(
            [f"Do it {i}." for i in range(9)], question_types(), engine, _LISTS, SEED, SHARDS
        ),
        "lists",
    ),
    "answers": (lambda engine: plan_self_alignment(_ASKED, RULES, engine, params(), SEED, SHARDS), "answers"),
    "verbose_answers": (lambda engine: plan_verbose_answers(_ASKED, engine, CLONING, SEED, SHARDS), "answers"),
    "left_out_answers": (_left_out, "left_out_answers"),
}


@dataclass(frozen=True)
class Ended:
    """How a process ended that was not killed: the bytes of its table, the moments, and how many prompts it read."""

    content: bytes
    moments: int
    prompts: int


def run_stage(stage: str, folder: Path, kill_at: int | None = None) -> Ended | None:
    """Make the table of a stage in a process of its own; None where it was killed at that moment."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    told = context.SimpleQueue()
    process = context.Process(target=_child, args=(stage, folder, kill_at, told))
    process.start()
    process.join()
    if process.exitcode == -signal.SIGKILL:
        return None
    assert process.exitcode == 0
    moments, prompts = told.get()
    return Ended(_table(stage, folder).read_bytes(), moments, prompts)


def _table(stage: str, folder: Path) -> Path:
    return folder / f"{stage}.parquet"


def _child(stage: str, folder: Path, kill_at: int | None, told: Any) -> None:
    moments = 0

    def counted(function: Callable[..., Any]) -> Callable[..., Any]:
        def moment() -> None:
            nonlocal moments
            moments += 1
            if moments == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        def call(*args: Any, **kwargs: Any) -> Any:
            moment()
            result = function(*args, **kwargs)
            moment()
            return result

        return call

    Path.replace = counted(Path.replace)  # type: ignore[method-assign]
    durable.flush = counted(durable.flush)
    engine = ScriptedEngine(_reply)
    engine.generate = counted(engine.generate)  # type: ignore[method-assign]
    plan, kind = STAGES[stage]
    ShardsDataset(filepath=_table(stage, folder), kind=kind).save(plan(engine))
    told.put((moments, len(engine.prompts)))
