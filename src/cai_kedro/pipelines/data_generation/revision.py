"""Critique and revision, round after round, and revision without a critique."""

import logging
from collections.abc import Sequence
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.core.constitution import Constitution, CritiqueFewShot
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.pipelines.data_generation.critic import Critic
from cai_kedro.pipelines.data_generation.drafts import (
    first_drafts,
    one_after_another,
    revision_rows,
    with_principles,
)

logger = logging.getLogger(__name__)


class RevisionParams(BaseModel):
    """How responses are revised."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    critic: Literal["pretrained", "helpful_rlhf"] = Field(description="who critiques and revises")
    rounds: int = Field(ge=1)
    few_shots: int = Field(ge=0, description="how many of the constitution's worked examples stand in front")
    sampling: Sampling


def critique_and_revise(
    prompts: pd.DataFrame,
    responses: pd.DataFrame,
    constitution: Constitution,
    pretrained: TextEngine,
    helpful_rlhf: TextEngine,
    params: RevisionParams,
    seed: int,
) -> pd.DataFrame:
    """Critique and revise every response, round by round (`prompts`, `responses` → `revisions`; §3.1).

    A principle is drawn at every step; round k+1 starts from revision k. Where the critique or the revision comes
    out empty, the response stays as it was; an empty critique is null in the table.
    """
    engine = {"pretrained": pretrained, "helpful_rlhf": helpful_rlhf}[params.critic]
    few_shots = [example.text for example in _examples(constitution, params.few_shots)]
    critic = Critic(engine, params.sampling, few_shots, seed)
    drafts, rounds = first_drafts(prompts, responses), []
    for step in range(1, params.rounds + 1):
        drafts = critic.critique(with_principles(drafts, constitution, seed, step), step)
        drafts = critic.revise(drafts, step)
        rounds.append(revision_rows(drafts, step))
        logger.info("round %d of %d: %d responses critiqued and revised", step, params.rounds, len(drafts))
    return one_after_another(rounds)


def revise_directly(
    prompts: pd.DataFrame,
    responses: pd.DataFrame,
    constitution: Constitution,
    pretrained: TextEngine,
    helpful_rlhf: TextEngine,
    params: RevisionParams,
    seed: int,
) -> pd.DataFrame:
    """Revise without a critique (`prompts`, `responses` → `revisions`, `critique` null; the ablation of §3.5).

    Principles are drawn as in `critique_and_revise`, so that the two arms are paired.
    """
    engine = {"pretrained": pretrained, "helpful_rlhf": helpful_rlhf}[params.critic]
    few_shots = [example.direct_text for example in _examples(constitution, params.few_shots)]
    critic = Critic(engine, params.sampling, few_shots, seed)
    drafts, rounds = first_drafts(prompts, responses), []
    for step in range(1, params.rounds + 1):
        drafts = critic.revise_directly(with_principles(drafts, constitution, seed, step), step)
        rounds.append(revision_rows(drafts, step))
        logger.info("round %d of %d: %d responses revised directly", step, params.rounds, len(drafts))
    return one_after_another(rounds)


def _examples(constitution: Constitution, n: int) -> Sequence[CritiqueFewShot]:
    examples = constitution.few_shots.critiques
    if n > len(examples):
        raise ValueError(
            f"data_generation.revision.few_shots is {n}, but the constitution has {len(examples)} worked critiques: "
            f"lower the number or add examples to few_shots"
        )
    return examples[:n]
