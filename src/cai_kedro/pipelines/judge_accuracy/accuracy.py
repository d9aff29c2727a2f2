"""Shares of comparisons in which the better answer was chosen, beside two baselines that read nothing."""

import logging

import numpy as np
import pandas as pd

from cai_kedro.metrics.accuracy import pairwise_accuracy
from cai_kedro.metrics.estimate import Estimate
from cai_kedro.pipelines.judge_accuracy.params import JudgeAccuracyParams

logger = logging.getLogger(__name__)


def measure_accuracy(
    items: pd.DataFrame,
    judged: pd.DataFrame,
    judged_with_cot: pd.DataFrame,
    scored: pd.DataFrame,
    params: JudgeAccuracyParams,
) -> dict[str, Estimate]:
    """Return `judge_accuracy.{method}` with 95 % interval and n; no preference counts half.

    `judge`, `judge_one_order` (the file's), `judge_on_cot_items`, `judge_cot` (one chain of thought per order),
    `judge_cot_mean_{samples}` (the mean probability of all), `preference_model`; over all items of the file `longer`
    (the answer of more characters) and `always_a`. All but the first two are about two options in the paper's layout,
    and are left out where the file has none.
    """
    two_options = items[items["prompt"].isna()]
    longer = np.sign(two_options["better"].map(len).astype(int) - two_options["worse"].map(len).astype(int))
    with_cot = judged_with_cot.groupby("line", sort=True)["margin"]
    margins = {
        "longer": longer,
        "always_a": np.where(two_options["letter"] == "A", 1.0, -1.0),
        "judge": judged["margin"],
        "judge_one_order": judged["margin_one_order"],
        "judge_on_cot_items": judged.loc[judged["line"].isin(judged_with_cot["line"]), "margin"],
        "judge_cot": judged_with_cot.loc[judged_with_cot["sample"] == 0, "margin"],
        f"judge_cot_mean_{params.cot.samples}": with_cot.mean(),
        "preference_model": scored["margin"],
    }
    metrics = {
        f"judge_accuracy.{method}": pairwise_accuracy(margin) for method, margin in margins.items() if len(margin)
    }
    for name, figure in metrics.items():
        logger.info("%s: %.3f [%.3f, %.3f], n = %d", name, figure["value"], figure["low"], figure["high"], figure["n"])
    return metrics
