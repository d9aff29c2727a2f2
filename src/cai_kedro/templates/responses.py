"""Answers of one policy to a table of prompts."""

import logging

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.core.conversation import as_messages, as_prompt
from cai_kedro.core.prompts import STOPS
from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.templates.selection import choose

logger = logging.getLogger(__name__)


class ResponseParams(BaseModel):
    """Who answers how many prompts, how often, and how the answers are drawn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    policy: str = Field(min_length=1)
    prompts: int | None = Field(ge=1, description="how many prompts are answered; null for all")
    samples: int = Field(ge=1)
    sampling: Sampling


def sample_responses(prompts: pd.DataFrame, engine: TextEngine, params: ResponseParams, seed: int) -> pd.DataFrame:
    """Answer prompts (`prompts` → `responses`; §3.1, and §3.2 for the helpful samples).

    An answer's draw depends on the run seed, the policy, the prompt and the sample number alone. Empty answers are
    left out.
    """
    chosen = choose(prompts, params.prompts, seed, "responses")
    rows = [(row.prompt_id, sample, row.messages) for row in chosen.itertuples() for sample in range(params.samples)]
    completions = engine.generate(
        [as_prompt(as_messages(messages)) for _, _, messages in rows],
        params.sampling,
        [derive_seed(seed, "response", params.policy, prompt_id, sample) for prompt_id, sample, _ in rows],
        STOPS,
    )
    answered = pd.DataFrame(
        {
            "prompt_id": [prompt_id for prompt_id, _, _ in rows],
            "sample": [sample for _, sample, _ in rows],
            "policy": params.policy,
            "response": [completion.text for completion in completions],
        }
    )
    kept = answered[answered["response"].str.strip() != ""].reset_index(drop=True)
    logger.info("%s: %d answers to %d prompts, %d empty", params.policy, len(kept), len(chosen), len(rows) - len(kept))
    return kept
