"""Critique and revision, round after round, and revision without a critique."""

import logging
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.core.constitution import Constitution, CritiqueFewShot
from cai_kedro.core.shards import Outcome, ShardParams, ShardPlan
from cai_kedro.core.worked_examples import CritiqueShots, as_many_as_there_are
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.metrics.estimate import Estimate
from cai_kedro.pipelines.data_generation.critic import Critic
from cai_kedro.pipelines.data_generation.drafts import (
    ID_COLUMNS,
    first_drafts,
    one_after_another,
    revision_rows,
    with_principles,
)
from cai_kedro.templates.shards import plan_shards

logger = logging.getLogger(__name__)


class RevisionParams(BaseModel):
    """How responses are revised."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rounds: int = Field(ge=1)
    few_shots: CritiqueShots = Field(description="how many of the constitution's worked examples stand in front")
    sampling: Sampling


def critique_and_revise(
    prompts: pd.DataFrame,
    responses: pd.DataFrame,
    constitution: Constitution,
    critic: TextEngine,
    params: RevisionParams,
    seed: int,
) -> Outcome:
    """Critique and revise every response, round by round (`prompts`, `responses` → `revisions`; §3.1).

    A principle is drawn at every step; round k+1 starts from revision k. Where a critique or a revision comes out
    empty or does not fit, the response goes to quarantine with all its steps.
    """
    reviser = _critic(constitution, critic, params, seed, direct=False)
    drafts, rounds = first_drafts(prompts, responses), []
    for step in range(1, params.rounds + 1):
        drafts = reviser.critique(with_principles(drafts, constitution, seed, step), step)
        drafts = reviser.revise(drafts, step)
        rounds.append(revision_rows(drafts, step))
        logger.info("round %d of %d: %d responses critiqued and revised", step, params.rounds, len(drafts))
    return one_after_another(rounds)


def revise_directly(
    prompts: pd.DataFrame,
    responses: pd.DataFrame,
    constitution: Constitution,
    critic: TextEngine,
    params: RevisionParams,
    seed: int,
) -> Outcome:
    """Revise without a critique (`prompts`, `responses` → `revisions`, `critique` null; the ablation of §3.5).

    Principles are drawn as in `critique_and_revise`, so that the two arms are paired.
    """
    reviser = _critic(constitution, critic, params, seed, direct=True)
    drafts, rounds = first_drafts(prompts, responses), []
    for step in range(1, params.rounds + 1):
        drafts = reviser.revise_directly(with_principles(drafts, constitution, seed, step), step)
        rounds.append(revision_rows(drafts, step))
        logger.info("round %d of %d: %d responses revised directly", step, params.rounds, len(drafts))
    return one_after_another(rounds)


Plan = Callable[..., ShardPlan]


def plan_of(revise: Callable[..., Outcome]) -> Plan:
    """Return the node function that plans what `critique_and_revise` or `revise_directly` does, shard by shard."""

    def plan_revisions(
        prompts: pd.DataFrame,
        responses: pd.DataFrame,
        constitution: Constitution,
        critic: TextEngine,
        params: RevisionParams,
        seed: int,
        shards: ShardParams,
        check: Mapping[str, Estimate] | None = None,
    ) -> ShardPlan:
        """Plan the revision of every response, shard by shard; where the critic is checked, after `check`."""
        direct = revise is revise_directly
        reviser = _critic(constitution, critic, params, seed, direct=direct)
        # a response stands with its conversation, so that a shard depends on its own prompts alone
        asked = responses.merge(prompts[["prompt_id", "messages"]], on="prompt_id", how="left", validate="many_to_one")

        def make(part: pd.DataFrame) -> Outcome:
            own = part.drop_duplicates("prompt_id")
            return revise(own, part, constitution, critic, params, seed)

        return plan_shards(
            asked[[*ID_COLUMNS, "response", "messages"]],
            make,
            shards,
            id_columns=ID_COLUMNS,
            engine=critic,
            decided_by={
                "params": params.model_dump(),
                "principles": list(constitution.critique_principles),
                "few_shots": list(reviser.few_shots),
                "seed": seed,
                "revise": revise.__name__,
            },
            kind="revisions",
        )

    return plan_revisions


def _critic(
    constitution: Constitution, engine: TextEngine, params: RevisionParams, seed: int, *, direct: bool
) -> Critic:
    examples = _examples(constitution, params.few_shots)
    return Critic(
        engine, params.sampling, [example.worked_directly if direct else example.worked for example in examples], seed
    )


def _examples(constitution: Constitution, n: int) -> Sequence[CritiqueFewShot]:
    examples = constitution.few_shots.critiques
    return examples[: as_many_as_there_are(n, len(examples), "critiques")]
