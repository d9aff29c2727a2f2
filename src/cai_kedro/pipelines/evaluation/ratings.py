"""Elo ratings, shares of behaviours and the summary table."""

import logging
from collections.abc import Iterable, Mapping

import pandas as pd

from cai_kedro.core.axes import Axes
from cai_kedro.core.seeding import derive_seed
from cai_kedro.metrics.behaviour import behaviour_shares
from cai_kedro.metrics.bradley_terry import elo_ratings, linked_policies
from cai_kedro.metrics.elo_gaps import neighbour_gaps
from cai_kedro.metrics.estimate import Estimate
from cai_kedro.pipelines.evaluation.head_to_heads import SELF_JUDGED
from cai_kedro.pipelines.evaluation.params import EvaluationParams

logger = logging.getLogger(__name__)

Metrics = dict[str, Estimate]

#: In the place of a split's name: all of them together.
ALL_SPLITS = "all"

#: Behind the name of a rating whose referee was a model that labels in the training.
MARK = "_by_training_judge"


def rate_policies(
    head_to_heads: pd.DataFrame,
    eval_prompts: pd.DataFrame,
    params: EvaluationParams,
    seed: int,
    referee_metrics: Metrics | None = None,
    *,
    reference: str,
) -> Metrics:
    """Return `elo.{criterion}.{policy}` over all prompts and `elo.{criterion}.{split}.{policy}` for each split.

    The names begin with `elo_by_training_judge` where the referee was a model that labels in the training. Policies
    that no chain of head-to-heads links to the reference are left out, with a warning (`linked`).
    """
    split_of = dict(zip(eval_prompts["prompt_id"], eval_prompts["split"], strict=True))
    table = head_to_heads.assign(split=head_to_heads["prompt_id"].map(split_of))
    metrics: Metrics = {}
    for criterion, played in table.groupby("criterion", sort=True):
        elo = f"elo{mark_of(referee_metrics, criterion)}.{criterion}"
        for name, part in [(elo, played), *_parts(elo, played)]:
            rated = linked(part, reference, name)
            if rated.empty:
                continue
            ratings = elo_ratings(rated, reference, params.n_bootstrap, derive_seed(seed, name))
            metrics |= {f"{name}.{policy}": rating for policy, rating in ratings.items()}
    if not metrics:
        raise ValueError(
            f"no policy can be rated: the reference policy {reference!r} met nobody at any of "
            f"{head_to_heads['prompt_id'].nunique()} prompts; let it be compared, or name another one in the parameter "
            f"lineage.reference"
        )
    return metrics


def linked(played: pd.DataFrame, reference: str, name: str) -> pd.DataFrame:
    """Return the head-to-heads of policies that a chain of head-to-heads links to the reference (`head_to_heads`).

    `played` holds one criterion, `name` is that of its ratings. Who is left out is said in a warning; nobody is left
    where the reference never met anyone.
    """
    policies = linked_policies(played, reference)
    if not policies:
        logger.warning(
            "%s is not rated: the reference policy %r met nobody at its %d prompts",
            name,
            reference,
            played["prompt_id"].nunique(),
        )
    elif apart := sorted({*played["policy_a"], *played["policy_b"]} - {*policies}):
        logger.warning("%s leaves out %s: no chain of head-to-heads links them to %r", name, apart, reference)
    return played[played["policy_a"].isin(policies)]


def compare_neighbours(
    head_to_heads: pd.DataFrame,
    params: EvaluationParams,
    seed: int,
    referee_metrics: Metrics | None = None,
    *,
    reference: str,
) -> Metrics:
    """Compare each policy with the next one below it in the ranking, criterion by criterion.

    `elo_gap.{criterion}.{upper}_over_{lower}` is the lead in Elo points, `elo_gap_p.…` the two-sided p value of no lead
    and `elo_gap_more_prompts.…` how many prompts to add to tell them apart (0: they are; not there: they are even).
    """
    metrics: Metrics = {}
    for criterion, played in head_to_heads.groupby("criterion", sort=True):
        mark = mark_of(referee_metrics, criterion)
        name = f"elo_gap{mark}.{criterion}"
        rated = linked(played, reference, name)
        if rated.empty:
            continue
        for gap in neighbour_gaps(rated, reference, params.n_bootstrap, derive_seed(seed, name)):
            of = f"{mark}.{criterion}.{gap.upper}_over_{gap.lower}"
            n = gap.elo["n"]
            metrics[f"elo_gap{of}"] = gap.elo
            metrics[f"elo_gap_p{of}"] = Estimate(value=gap.p_value, low=None, high=None, n=n)
            if gap.more_prompts is not None:
                metrics[f"elo_gap_more_prompts{of}"] = Estimate(value=gap.more_prompts, low=None, high=None, n=n)
    return metrics


def measure_behaviour(judgements: pd.DataFrame, params: EvaluationParams) -> Metrics:
    """Return `behaviour.{policy}.{split}.{share}` for every share in the parameters; split `all` is all prompts."""
    everywhere = behaviour_shares(judgements.assign(split=ALL_SPLITS), params.behaviours.by_axis, ["policy", "split"])
    by_split = behaviour_shares(judgements, params.behaviours.by_axis, ["policy", "split"])
    return {
        f"behaviour.{row.policy}.{row.split}.{row.group}": as_estimate(row._asdict())
        for row in pd.concat([everywhere, by_split]).itertuples(index=False, name="Share")
    }


def summarise(
    policy_responses: pd.DataFrame,
    params: EvaluationParams,
    axes: Axes,
    elo_metrics: Metrics | None = None,
    elo_gap_metrics: Metrics | None = None,
    behaviour_metrics: Metrics | None = None,
) -> pd.DataFrame:
    """Return what a user looks at first, long: `policy`, `metric`, `value`, `low`, `high`, `n`.

    Policies stand in the order of their answers. A share at the prompts of one split is `{share}.{split}`; none where
    there is but one split. Neighbours in a ranking: `{axis}_elo_gap_over_{lower}`, `…_gap_p_over_…`,
    `…_gap_more_prompts_over_…`. What was not measured has no row.
    """
    elo, behaviour = elo_metrics or {}, behaviour_metrics or {}
    policies = dict.fromkeys(policy_responses["policy"])
    marks = {axis: MARK * any(name.startswith(f"elo{MARK}.{axis}.") for name in elo) for axis in axes.measured}
    wanted = [
        *((f"{axis}_elo{mark}", f"elo{mark}.{axis}.{{}}", elo) for axis, mark in marks.items()),
        *((share, f"behaviour.{{}}.{ALL_SPLITS}.{share}", behaviour) for share in params.summary),
        *(
            (f"{share}.{split}", f"behaviour.{{}}.{split}.{share}", behaviour)
            for share in params.summary_by_split
            for split in _splits_of(share, policies, behaviour)
        ),
    ]
    rows = [
        {"policy": policy, "metric": metric, **metrics[pattern.format(policy)]}
        for policy in policies
        for metric, pattern, metrics in wanted
        if pattern.format(policy) in metrics
    ]
    for name, figure in (elo_gap_metrics or {}).items():
        kind, axis, pair = name.replace(MARK, "").split(".")
        upper, _, lower = pair.partition("_over_")
        rows.append({"policy": upper, "metric": f"{axis}_{kind}_over_{lower}", **figure})
    return pd.DataFrame(rows, columns=["policy", "metric", "value", "low", "high", "n"])


def _splits_of(share: str, policies: Iterable[str], behaviour_metrics: Metrics) -> list[str]:
    """Return the splits at whose prompts a share was measured, in their order; none where there is but one."""
    splits = dict.fromkeys(
        name.removeprefix(f"behaviour.{policy}.").removesuffix(f".{share}")
        for policy in policies
        for name in behaviour_metrics
        if name.startswith(f"behaviour.{policy}.") and name.endswith(f".{share}")
    )
    splits.pop(ALL_SPLITS, None)
    return list(splits) if len(splits) > 1 else []


def mark_of(referee_metrics: Metrics | None, axis: str) -> str:
    """Return what stands behind the name of a rating: something where the axis' referee labels in the training."""
    known = referee_metrics or {}
    told = known.get(f"{SELF_JUDGED}.{axis}", known.get(SELF_JUDGED))
    return MARK if told and told["value"] else ""


def as_estimate(row: Mapping[str, float]) -> Estimate:
    """Return the four numbers of a row that holds more."""
    return Estimate(value=float(row["value"]), low=float(row["low"]), high=float(row["high"]), n=int(row["n"]))


def _parts(name: str, played: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return the head-to-heads of each split, none where there is but one."""
    splits = [(f"{name}.{split}", part) for split, part in played.groupby("split", sort=True)]
    return splits if len(splits) > 1 else []
