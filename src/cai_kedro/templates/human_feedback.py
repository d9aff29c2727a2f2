"""Comparisons by people: simulated from the oracle in the micro world, recorded ones elsewhere."""

from dataclasses import replace

import pandas as pd

from cai_kedro.core.judging import Raters, RecordedComparisons
from cai_kedro.core.shards import ShardParams, ShardPlan
from cai_kedro.engines.base import TextEngine
from cai_kedro.templates.pairs import PairParams, plan_pairs


def plan_human_pairs(
    prompts: pd.DataFrame,
    engine: TextEngine,
    human_raters: Raters,
    params: PairParams,
    seed: int,
    shards: ShardParams,
) -> ShardPlan:
    """Plan the pairs that people compare (`prompts` → `pairs`; §4.1).

    Raters who are asked during the run get answers of the engine, see `plan_pairs`. Recorded ones compared other
    answers: all their pairs on these prompts are taken, whatever `params` says, and the engine samples nothing.
    """
    if not isinstance(human_raters, RecordedComparisons):
        return plan_pairs(prompts, engine, params, seed, shards)
    recorded = human_raters.recorded_pairs(prompts)
    nothing = plan_pairs(prompts.iloc[:0], engine, params, seed, shards)
    return replace(nothing, finish=lambda _: recorded)


def compare_helpfulness(pairs: pd.DataFrame, human_raters: Raters, seed: int) -> pd.DataFrame:
    """Have people say which answer helps more (`pairs` → `comparisons`, source `human`; §4.1)."""
    return human_raters.compare(pairs, "helpfulness", seed)


def compare_harmlessness(pairs: pd.DataFrame, human_raters: Raters, seed: int) -> pd.DataFrame:
    """Have people say which answer is less harmful (`pairs` → `comparisons`; the HH RLHF baseline alone uses it)."""
    return human_raters.compare(pairs, "harmlessness", seed)
