"""AI preference labels straight from the comparison."""

from collections.abc import Mapping

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.core.constitution import Constitution, draw_comparison_few_shots
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.seeding import rng_for
from cai_kedro.core.shards import Outcome, ShardParams, ShardPlan, settle
from cai_kedro.core.worked_examples import ComparisonShots
from cai_kedro.engines.base import TextEngine
from cai_kedro.judging.comparer import Case, compare
from cai_kedro.metrics.estimate import Estimate
from cai_kedro.pipelines.preference_labeling.options import (
    label_columns,
    principles_about,
    principles_of,
    without_label,
)
from cai_kedro.templates.shards import plan_shards


class LabelParams(BaseModel):
    """How pairs are labelled."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    both_orders: bool = Field(description="average both option orders; false is the paper's single order")
    few_shots: ComparisonShots = Field(description="how many worked comparisons stand in front")


def label_pairs(
    pairs: pd.DataFrame,
    constitution: Constitution,
    engine: TextEngine,
    params: LabelParams,
    seed: int,
    objective: str = "harmlessness",
) -> Outcome:
    """Ask the feedback model which answer a principle prefers (`pairs` → `comparisons`, source `ai`; §4.1).

    One principle is drawn per pair. The label is the probability of the option letters, averaged over both orders.
    Comparisons that are over the context go to quarantine. Worked examples are about harmlessness, each under a
    principle of its own, whatever the `objective` of the pairs: they show how to answer.
    """
    principles = principles_of(pairs, constitution, seed, objective)
    cases = [
        Case(
            as_messages(row.messages),
            row.response_a,
            row.response_b,
            principle.question,
            draw_comparison_few_shots(
                constitution.few_shots.comparisons,
                constitution.preference_principles,
                params.few_shots,
                rng_for(seed, "comparison few-shots", row.pair_id),
            ),
        )
        for row, principle in zip(pairs.itertuples(), principles, strict=True)
    ]
    labels = label_columns(compare(engine, cases, both_orders=params.both_orders), pairs)
    labelled = pairs.assign(
        objective=objective,
        source="ai",
        principle_id=[principle.id for principle in principles],
        **labels,
        thoughts=None,
        trouble=without_label(labels),
    )
    return settle(labelled, ["pair_id"])


def plan_labels(
    pairs: pd.DataFrame,
    constitution: Constitution,
    engine: TextEngine,
    params: LabelParams,
    seed: int,
    shards: ShardParams,
    objective: str = "harmlessness",
    check: Mapping[str, Estimate] | None = None,
) -> ShardPlan:
    """Plan what `label_pairs` does, shard by shard; where the labeller is checked, after `check`."""
    return plan_shards(
        pairs,
        lambda part: label_pairs(part, constitution, engine, params, seed, objective),
        shards,
        id_columns=["pair_id"],
        engine=engine,
        decided_by={
            "params": params,
            "principles": list(principles_about(constitution, objective)),
            "few_shots": list(constitution.few_shots.comparisons) if params.few_shots else [],
            "seed": seed,
            **({} if objective == "harmlessness" else {"objective": objective}),
        },
        kind="comparisons",
    )
