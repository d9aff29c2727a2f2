"""AI preference labels after a chain of thought."""

from typing import Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from cai_kedro.core.constitution import Constitution, draw_cot_few_shots
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.seeding import derive_seed, rng_for
from cai_kedro.core.shards import Outcome, ShardParams, ShardPlan, settle
from cai_kedro.core.worked_examples import CotShots
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.judging.comparer import Case, Thinking, compare_with_thoughts
from cai_kedro.pipelines.preference_labeling.options import label_columns, principles_of, without_label
from cai_kedro.templates.selection import choose
from cai_kedro.templates.shards import plan_shards


class CotLabelParams(BaseModel):
    """How pairs are labelled with chain of thought."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pairs: int | None = Field(ge=1, description="pairs to label, of those that are labelled without; None: all")
    both_orders: bool
    few_shots: CotShots
    samples: int = Field(ge=1, description="chains of thought per option order, averaged as probabilities")
    clamp: tuple[float, float] = Field(description="bounds of the label")
    sampling: Sampling

    @model_validator(mode="after")
    def _clamp_is_an_interval(self) -> Self:
        low, high = self.clamp
        if not 0 <= low < high <= 1:
            raise ValueError(f"clamp must satisfy 0 <= low < high <= 1, got {low=}, {high=}")
        return self


def label_pairs_with_cot(
    pairs: pd.DataFrame,
    constitution: Constitution,
    engine: TextEngine,
    params: CotLabelParams,
    seed: int,
) -> Outcome:
    """Let the assistant think step by step before it compares (`pairs` → `comparisons`, source `ai_cot`; §4.1).

    Every chain of thought is followed by the log-probabilities of the two option letters. `p_a_better` is clamped,
    `p_a_first` and `p_a_second` are not. `thoughts` holds the chains of A first, then those of A second. A pair with an
    empty chain, or one over the context, goes to quarantine.
    """
    labelled, quarantine = _label(_chosen(pairs, params, seed), constitution, engine, params, seed)
    return Outcome(_clamped(labelled, params), quarantine)


def plan_cot_labels(
    pairs: pd.DataFrame,
    constitution: Constitution,
    engine: TextEngine,
    params: CotLabelParams,
    seed: int,
    shards: ShardParams,
) -> ShardPlan:
    """Plan what `label_pairs_with_cot` does; shards hold labels before the clamp."""
    return plan_shards(
        _chosen(pairs, params, seed),
        lambda part: _label(part, constitution, engine, params, seed),
        shards,
        id_columns=["pair_id"],
        engine=engine,
        decided_by={
            "params": params.model_dump(exclude={"clamp", "pairs"}),
            "principles": list(constitution.preference_principles),
            "few_shots": list(constitution.few_shots.cots) if params.few_shots else [],
            "seed": seed,
        },
        kind="comparisons",
        finish=lambda labelled: _clamped(labelled, params),
    )


def _chosen(pairs: pd.DataFrame, params: CotLabelParams, seed: int) -> pd.DataFrame:
    return choose(pairs, params.pairs, seed, "thoughts", by="pair_id")


def _clamped(labelled: pd.DataFrame, params: CotLabelParams) -> pd.DataFrame:
    # §4.1: CoT labels are over-confident
    return labelled.assign(p_a_better=labelled["p_a_better"].clip(*params.clamp))


def _label(
    pairs: pd.DataFrame, constitution: Constitution, engine: TextEngine, params: CotLabelParams, seed: int
) -> Outcome:
    principles = principles_of(pairs, constitution, seed)
    cases = [
        Case(
            as_messages(row.messages),
            row.response_a,
            row.response_b,
            principle.question,
            draw_cot_few_shots(
                constitution.few_shots.cots,
                constitution.preference_principles,
                params.few_shots,
                rng_for(seed, "cot few-shots", row.pair_id),
            ),
        )
        for row, principle in zip(pairs.itertuples(), principles, strict=True)
    ]
    ids = list(pairs["pair_id"])

    def seed_of(case: int, order: int, chain: int) -> int:
        return derive_seed(seed, "thoughts", ids[case], ("response_a", "response_b")[order], chain)

    thinking = Thinking(params.samples, params.sampling, seed_of)
    reasoned = compare_with_thoughts(engine, cases, thinking, both_orders=params.both_orders)
    labels = label_columns(reasoned.preferences, pairs)
    chains = range(params.samples)
    labelled = pairs.assign(
        objective="harmlessness",
        source="ai_cot",
        principle_id=[principle.id for principle in principles],
        **labels,
        thoughts=["\n\n".join(reasoned.texts(case, chains)) for case in range(len(cases))],
        trouble=pd.Series(reasoned.troubles, index=pairs.index, dtype=object).fillna(without_label(labels)),
    )
    return settle(labelled, ["pair_id"])
