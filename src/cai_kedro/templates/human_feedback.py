"""Comparisons by people: simulated from the oracle in the micro world, recorded ones elsewhere."""

from dataclasses import replace

import pandas as pd

from cai_kedro.core.judging import Raters, RecordedComparisons
from cai_kedro.core.schemas import PAIR_COLUMNS
from cai_kedro.core.shards import ShardParams, ShardPlan
from cai_kedro.engines.base import TextEngine
from cai_kedro.templates.pairs import PairParams, PairSampling, plan_pairs


def recorded_pairs(prompts: pd.DataFrame, human_raters: Raters) -> pd.DataFrame:
    """Return what people compared on these prompts before the run (`prompts` → `pairs`; §4.1).

    Raters who are asked during the run recorded nothing: no rows. A node of its own, so that no node that samples
    is given the raters, who know the truth in the micro world.
    """
    if isinstance(human_raters, RecordedComparisons):
        return human_raters.recorded_pairs(prompts)
    return pd.DataFrame(columns=PAIR_COLUMNS, dtype=object)


def plan_human_pairs(
    prompts: pd.DataFrame,
    recorded: pd.DataFrame,
    engine: TextEngine,
    params: PairParams,
    seed: int,
    shards: ShardParams,
) -> ShardPlan:
    """Plan the pairs that people compare (`prompts` → `pairs`; §4.1).

    `recorded` holds the pairs that people compared before the run. If there are any, all of them are taken, whatever
    `params` says, and the engine samples nothing. If there are none, people are asked during the run and get answers
    of the engine, see `plan_pairs`.
    """
    if recorded.empty:
        return plan_pairs(prompts, engine, params, seed, shards)
    nothing = plan_pairs(prompts.iloc[:0], engine, params, seed, shards)
    return replace(nothing, finish=lambda _: recorded)


def plan_human_pairs_by(
    prompts: pd.DataFrame,
    recorded: pd.DataFrame,
    engine: TextEngine,
    params: PairSampling,
    seed: int,
    shards: ShardParams,
    policy: str,
) -> ShardPlan:
    """Plan the pairs that people compare, of a policy's answers; its name is fixed at wiring."""
    return plan_human_pairs(prompts, recorded, engine, params.by(policy), seed, shards)


def compare_helpfulness(pairs: pd.DataFrame, human_raters: Raters, seed: int) -> pd.DataFrame:
    """Have people say which answer helps more (`pairs` → `comparisons`, source `human`; §4.1)."""
    return human_raters.compare(pairs, "helpfulness", seed)


def compare_harmlessness(pairs: pd.DataFrame, human_raters: Raters, seed: int) -> pd.DataFrame:
    """Have people say which answer is less harmful (`pairs` → `comparisons`; the HH RLHF baseline alone uses it)."""
    return human_raters.compare(pairs, "harmlessness", seed)
