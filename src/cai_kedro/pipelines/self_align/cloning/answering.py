"""Verbose answers of the engraved model, in resumable shards."""

import pandas as pd

from cai_kedro.core.asks import StyledReply
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.seeding import derive_seed
from cai_kedro.core.shards import Outcome, ShardParams, ShardPlan, settle
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.fitting import generate_fitting, unread
from cai_kedro.pipelines.self_align.answers import ASKED, COLUMNS, fault_of_answer, whole_answer
from cai_kedro.pipelines.self_align.cloning.params import CloningParams
from cai_kedro.templates.selection import choose
from cai_kedro.templates.shards import plan_shards


def answer_verbosely(questions: pd.DataFrame, engine: TextEngine, params: CloningParams, seed: int) -> Outcome:
    """Answer questions under the verbose prompt (`self_align_questions` → `answers`; SELF-ALIGN, stage 4).

    There are no thoughts and no rules. An answer ends before a clause that is said again; of one that the limit of
    tokens cut, the whole sentences stay. `fault` says where nothing is left.
    """
    return _answer(_chosen(questions, params, seed), engine, params, seed)


def plan_verbose_answers(
    questions: pd.DataFrame, engine: TextEngine, params: CloningParams, seed: int, shards: ShardParams
) -> ShardPlan:
    """Plan what `answer_verbosely` does, shard by shard."""
    return plan_shards(
        _chosen(questions, params, seed)[ASKED],
        lambda part: _answer(part, engine, params, seed),
        shards,
        id_columns=["prompt_id"],
        engine=engine,
        decided_by={
            "params": params.model_dump(include={"verbose_prompt", "sampling", "repeated_words"}),
            "seed": seed,
        },
        kind="answers",
    )


def _chosen(questions: pd.DataFrame, params: CloningParams, seed: int) -> pd.DataFrame:
    return choose(questions, params.questions, seed, "cloning")


def _answer(questions: pd.DataFrame, engine: TextEngine, params: CloningParams, seed: int) -> Outcome:
    said = generate_fitting(
        engine,
        [StyledReply(as_messages(cell), params.verbose_prompt) for cell in questions["messages"]],
        params.sampling,
        [derive_seed(seed, "cloning", prompt_id) for prompt_id in questions["prompt_id"]],
    )
    raw = [completion.text.strip() if completion else "" for completion in said]
    ended = [completion is None or completion.finish_reason == "stop" for completion in said]
    whole = [whole_answer(text, end, params.repeated_words) for text, end in zip(raw, ended, strict=True)]
    told = {
        "thoughts": [None] * len(raw),
        "rules": [[] for _ in raw],
        "response": [text or None for text in whole],
        "ended": ended,
        "fault": [fault_of_answer(text, kept, None, (), 100.0) for text, kept in zip(raw, whole, strict=True)],
        "trouble": [unread(completion) for completion in said],
    }
    columns = {name: pd.Series(values, index=questions.index, dtype=object) for name, values in told.items()}
    table = questions[ASKED].assign(**columns)
    return settle(table.assign(ended=table["ended"].astype(bool))[[*COLUMNS, "trouble"]], ["prompt_id"])
