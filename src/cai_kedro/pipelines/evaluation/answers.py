"""Every policy answers the same held-out prompts."""

import logging
from collections.abc import Callable

import pandas as pd

from cai_kedro.core.asks import Reply
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.seeding import derive_seed
from cai_kedro.core.shards import Outcome, ShardParams, ShardPlan, settle
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.engines.fitting import generate_fitting, unread
from cai_kedro.pipelines.evaluation.params import EvaluationParams
from cai_kedro.templates.shards import plan_shards

logger = logging.getLogger(__name__)

#: Stands for an empty answer, which is an answer too: leaving it out would spare a policy its worst ones.
NO_ANSWER = "…"


def answer_as(
    policy: str,
) -> Callable[[pd.DataFrame, TextEngine, EvaluationParams, int, ShardParams], ShardPlan]:
    """Return the node function that plans the answers of one policy, shard by shard."""

    def plan_answers(
        prompts: pd.DataFrame, engine: TextEngine, params: EvaluationParams, seed: int, shards: ShardParams
    ) -> ShardPlan:
        """Answer every prompt once (`prompts` → `responses`). All policies draw with the same random numbers."""
        return plan_shards(
            prompts[["prompt_id", "messages"]],
            lambda part: answer(policy, part, engine, params.sampling, seed),
            shards,
            id_columns=["prompt_id"],
            engine=engine,
            decided_by={"policy": policy, "sampling": params.sampling, "seed": seed},
            kind="responses",
        )

    plan_answers.__name__ = f"answer_as_{policy}"
    return plan_answers


def answer(policy: str, prompts: pd.DataFrame, engine: TextEngine, sampling: Sampling, seed: int) -> Outcome:
    """Let a policy answer every prompt once (`prompts` → `responses`); what cannot be asked goes to quarantine."""
    said = generate_fitting(
        engine,
        [Reply(as_messages(cell)) for cell in prompts["messages"]],
        sampling,
        [derive_seed(seed, "evaluation", prompt_id, 0) for prompt_id in prompts["prompt_id"]],
    )
    texts = [completion.text.strip() if completion else "" for completion in said]
    answered = pd.DataFrame(
        {
            "prompt_id": prompts["prompt_id"].to_numpy(),
            "sample": 0,
            "policy": policy,
            "response": [text or NO_ANSWER for text in texts],
            "trouble": pd.Series([unread(completion) for completion in said], dtype=object),
        }
    )
    return settle(answered, ["prompt_id"])


def gather_responses(*responses: pd.DataFrame) -> pd.DataFrame:
    """Put the answers of all policies into one table (`responses` each → `responses`)."""
    return pd.concat(responses, ignore_index=True)
