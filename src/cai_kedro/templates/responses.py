"""Answers of one policy to a table of prompts."""

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.core.asks import Reply
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.seeding import derive_seed
from cai_kedro.core.shards import Outcome, ShardParams, ShardPlan, settle
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.engines.fitting import generate_fitting, trouble_of
from cai_kedro.templates.selection import choose
from cai_kedro.templates.shards import plan_shards

ID_COLUMNS = ["prompt_id", "sample"]


class AnswerParams(BaseModel):
    """How many prompts are answered, how often, and how the answers are drawn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompts: int | None = Field(ge=1, description="how many prompts are answered; null for all")
    samples: int = Field(ge=1)
    sampling: Sampling

    def by(self, policy: str) -> "ResponseParams":
        """Return what a policy is asked; the lineage says which policy, not the parameters."""
        return ResponseParams(policy=policy, **dict(self))


class ResponseParams(AnswerParams):
    """Who answers, beside that."""

    policy: str = Field(min_length=1)


def sample_responses(prompts: pd.DataFrame, engine: TextEngine, params: ResponseParams, seed: int) -> Outcome:
    """Answer prompts (`prompts` → `responses`; §3.1, and §3.2 for the helpful samples).

    An answer's draw depends on the run seed, the policy, the prompt and the sample number alone. Empty answers go to
    quarantine, and so do prompts that are too long.
    """
    return _answer(_asked(prompts, params, seed), engine, params, seed)


def plan_responses(
    prompts: pd.DataFrame, engine: TextEngine, params: ResponseParams, seed: int, shards: ShardParams
) -> ShardPlan:
    """Plan what `sample_responses` does, shard by shard."""
    return plan_shards(
        _asked(prompts, params, seed),
        lambda part: _answer(part, engine, params, seed),
        shards,
        id_columns=ID_COLUMNS,
        engine=engine,
        decided_by={"params": params.model_dump(exclude={"prompts", "samples"}), "seed": seed},
        kind="responses",
    )


def plan_responses_by(
    prompts: pd.DataFrame, engine: TextEngine, params: AnswerParams, seed: int, shards: ShardParams, policy: str
) -> ShardPlan:
    """Plan the answers of a policy, whose name is fixed at wiring."""
    return plan_responses(prompts, engine, params.by(policy), seed, shards)


def _asked(prompts: pd.DataFrame, params: ResponseParams, seed: int) -> pd.DataFrame:
    """Return one row per answer that is wanted: `prompt_id`, `sample`, `messages`."""
    chosen = choose(prompts, params.prompts, seed, "responses")[["prompt_id", "messages"]]
    samples = pd.DataFrame({"sample": range(params.samples)})
    return chosen.merge(samples, how="cross")[[*ID_COLUMNS, "messages"]]


def _answer(asked: pd.DataFrame, engine: TextEngine, params: ResponseParams, seed: int) -> Outcome:
    ids = list(zip(asked["prompt_id"], asked["sample"], strict=True))
    said = generate_fitting(
        engine,
        [Reply(as_messages(messages)) for messages in asked["messages"]],
        params.sampling,
        [derive_seed(seed, "response", params.policy, prompt_id, sample) for prompt_id, sample in ids],
    )
    answered = asked[ID_COLUMNS].assign(
        policy=params.policy,
        response=[completion.text if completion else "" for completion in said],
        trouble=pd.Series([trouble_of(completion) for completion in said], index=asked.index, dtype=object),
    )
    return settle(answered, ID_COLUMNS)
