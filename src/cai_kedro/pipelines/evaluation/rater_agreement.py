"""How far those who label the human comparisons agree with one another."""

import logging

import pandas as pd

from cai_kedro.core.judging import Raters, RecordedComparisons, SeveralRaters
from cai_kedro.core.seeding import derive_seed
from cai_kedro.metrics.agreement import agreement, krippendorff_alpha
from cai_kedro.metrics.estimate import Estimate
from cai_kedro.pipelines.evaluation.params import EvaluationParams
from cai_kedro.pipelines.evaluation.ratings import Metrics
from cai_kedro.templates.selection import choose

logger = logging.getLogger(__name__)


def measure_rater_agreement(
    human_raters: Raters, params: EvaluationParams, seed: int, **pairs: pd.DataFrame
) -> Metrics:
    """Say how far raters agree on the pairs that they label, by objective: `pairs` are tables of that kind.

    `rater_agreement.{objective}.alike` is how often two raters of a pair prefer the same answer, `….alpha` their
    agreement beyond chance (Krippendorff), n counting pairs with two votes at least; `….raters` how many voted on one,
    on average. Nothing where the votes of several people are not known.
    """
    metrics: Metrics = {}
    for objective, table in pairs.items():
        asked = choose(table, params.raters.pairs, seed, "rater agreement", objective, by="pair_id")
        votes = _votes(human_raters, asked, objective, params.raters.votes, seed)
        by_pair = [list(said) for _, said in votes.groupby("pair_id", sort=True)["prefers_a"] if len(said) > 1]
        if not by_pair:
            logger.warning("nobody voted twice on a pair under %s: how far raters agree is not known", objective)
            continue
        name = f"rater_agreement.{objective}"
        metrics[f"{name}.alike"] = agreement(by_pair)
        if len({vote for said in by_pair for vote in said}) > 1:
            metrics[f"{name}.alpha"] = krippendorff_alpha(by_pair, derive_seed(seed, name))
        mean = sum(map(len, by_pair)) / len(by_pair)
        metrics[f"{name}.raters"] = Estimate(value=mean, low=None, high=None, n=len(by_pair))
    return metrics


def _votes(raters: Raters, pairs: pd.DataFrame, objective: str, number: int, seed: int) -> pd.DataFrame:
    """Return every vote on these pairs (→ `pair_id, rater, prefers_a`)."""
    if isinstance(raters, SeveralRaters):
        return raters.votes(pairs, objective, seed)
    if isinstance(raters, RecordedComparisons):
        return pd.DataFrame(columns=["pair_id", "rater", "prefers_a"])
    # simulated people: whoever is asked anew is another one
    asked = [raters.compare(pairs, objective, derive_seed(seed, "rater", rater)) for rater in range(number)]
    said = [table.assign(rater=str(rater), prefers_a=table["p_a_better"]) for rater, table in enumerate(asked)]
    return pd.concat(said, ignore_index=True)[["pair_id", "rater", "prefers_a"]]
