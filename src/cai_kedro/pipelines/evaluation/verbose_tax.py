"""What verbose cloning costs: the same prompts, answered by the engraved and by the verbose policy (SELF-ALIGN)."""

import logging

import pandas as pd

from cai_kedro.core.judging import RATING_SCALE
from cai_kedro.metrics.estimate import bounded_mean, mean
from cai_kedro.pipelines.evaluation.ratings import Metrics

logger = logging.getLogger(__name__)

_KEYS = ["prompt_id", "sample", "axis"]


def measure_verbose_tax(judgements: pd.DataFrame, *, engraved: str, verbose: str) -> Metrics:
    """Return paired differences, verbose minus engraved (`judgements` → metrics); below 0 is a tax.

    `verbose_tax.{axis}` is that of the judge's rating in points, from -4 to 4, of the prompts that both answered and
    the judge rates; `verbose_tax.words` that of the number of words. The paper's tax is one of multiple-choice scores,
    which the tasks of lm-eval give for each exported policy.
    """
    first, second = (judgements[judgements["policy"] == policy] for policy in (engraved, verbose))
    pairs = first.merge(second, on=_KEYS, suffixes=("_engraved", "_verbose"), validate="one_to_one")
    difference = pairs["rating_verbose"] - pairs["rating_engraved"]
    span = RATING_SCALE[1] - RATING_SCALE[0]
    metrics: Metrics = {}
    for (axis,), rows in pairs.assign(difference=difference).groupby(["axis"], sort=True):
        rated = rows[rows["difference"].notna()]
        if len(rated):
            metrics[f"verbose_tax.{axis}"] = bounded_mean(rated["difference"], -span, span, list(rated["prompt_id"]))
    answers = pairs.drop_duplicates(["prompt_id", "sample"])
    if len(answers):
        words = [answers[f"response_{which}"].str.split().str.len() for which in ("verbose", "engraved")]
        metrics["verbose_tax.words"] = mean((words[0] - words[1]).to_numpy(dtype=float))
    if not metrics:
        logger.warning("%s and %s have no prompt in common: the verbose tax is not measured", engraved, verbose)
    return metrics
