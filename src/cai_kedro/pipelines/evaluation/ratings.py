"""Elo ratings, shares of behaviours and the summary table."""

from collections.abc import Mapping

import pandas as pd

from cai_kedro.core.schemas import OBJECTIVES
from cai_kedro.core.seeding import derive_seed
from cai_kedro.metrics.behaviour import behaviour_shares
from cai_kedro.metrics.bradley_terry import elo_ratings
from cai_kedro.metrics.estimate import Estimate
from cai_kedro.pipelines.evaluation.params import EvaluationParams

Metrics = dict[str, Estimate]

#: In the place of a split's name: all of them together.
ALL_SPLITS = "all"


def rate_policies(
    head_to_heads: pd.DataFrame, eval_prompts: pd.DataFrame, params: EvaluationParams, seed: int
) -> Metrics:
    """Return `elo.{criterion}.{policy}` over all prompts and `elo.{criterion}.{split}.{policy}` for each split."""
    split_of = dict(zip(eval_prompts["prompt_id"], eval_prompts["split"], strict=True))
    table = head_to_heads.assign(split=head_to_heads["prompt_id"].map(split_of))
    metrics: Metrics = {}
    for criterion, played in table.groupby("criterion", sort=True):
        for name, part in [(f"elo.{criterion}", played), *_parts(f"elo.{criterion}", played)]:
            ratings = elo_ratings(part, params.elo.reference, params.n_bootstrap, derive_seed(seed, name))
            metrics |= {f"{name}.{policy}": rating for policy, rating in ratings.items()}
    return metrics


def measure_behaviour(judgements: pd.DataFrame, params: EvaluationParams) -> Metrics:
    """Return `behaviour.{policy}.{split}.{share}` for every share in the parameters; split `all` is all prompts."""
    everywhere = behaviour_shares(
        judgements.assign(split=ALL_SPLITS), params.behaviours.by_objective, ["policy", "split"]
    )
    by_split = behaviour_shares(judgements, params.behaviours.by_objective, ["policy", "split"])
    return {
        f"behaviour.{row.policy}.{row.split}.{row.group}": as_estimate(row._asdict())
        for row in pd.concat([everywhere, by_split]).itertuples(index=False, name="Share")
    }


def summarise(elo_metrics: Metrics, behaviour_metrics: Metrics, params: EvaluationParams) -> pd.DataFrame:
    """Return what a user looks at first, long: `policy`, `metric`, `value`, `low`, `high`, `n`."""
    policies = dict.fromkeys(name.split(".")[1] for name in behaviour_metrics)
    wanted = [
        *((f"{criterion}_elo", f"elo.{criterion}.{{}}", elo_metrics) for criterion in OBJECTIVES),
        *((share, f"behaviour.{{}}.{ALL_SPLITS}.{share}", behaviour_metrics) for share in params.summary),
    ]
    rows = [
        {"policy": policy, "metric": metric, **metrics[pattern.format(policy)]}
        for policy in policies
        for metric, pattern, metrics in wanted
        if pattern.format(policy) in metrics
    ]
    return pd.DataFrame(rows, columns=["policy", "metric", "value", "low", "high", "n"])


def as_estimate(row: Mapping[str, float]) -> Estimate:
    """Return the four numbers of a row that holds more."""
    return Estimate(value=float(row["value"]), low=float(row["low"]), high=float(row["high"]), n=int(row["n"]))


def _parts(name: str, played: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return the head-to-heads of each split, none where there is but one."""
    splits = [(f"{name}.{split}", part) for split, part in played.groupby("split", sort=True)]
    return splits if len(splits) > 1 else []
