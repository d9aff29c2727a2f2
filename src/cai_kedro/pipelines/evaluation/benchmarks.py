"""How often policies choose the right candidate on files of the user's, as lm-eval counted it (SELF-ALIGN)."""

import logging
from collections.abc import Collection

import pandas as pd

from cai_kedro.metrics.estimate import bounded_mean
from cai_kedro.pipelines.evaluation.ratings import Metrics

logger = logging.getLogger(__name__)

#: In the place of a policy's name: the verbose policy less the engraved one, item by item.
TAX = "verbose_tax"


def measure_benchmarks(answers: pd.DataFrame, *, policies: Collection[str], engraved: str, verbose: str) -> Metrics:
    """Return `benchmark.{task}.{policy}`, the share of right choices, 0 to 1 (`policy, task, item, question, right`).

    Both orders of a comparison are one observation for the interval. `benchmark.{task}.verbose_tax` is the paired
    difference of the policies `verbose` and `engraved` on the questions that both were asked; below 0 is the tax of the
    paper. Who is no policy of this run is left out, with a warning.
    """
    metrics: Metrics = {}
    for policy in dict.fromkeys(answers["policy"]):
        if policy not in policies:
            logger.warning(
                "lm-eval wrote of %r, and this run evaluates no such policy, only %s: left out; name the folder as the "
                "policy",
                policy,
                ", ".join(policies),
            )
    known = answers[answers["policy"].isin(policies)]
    for (task,), rows in known.groupby(["task"], sort=True):
        for policy in policies:
            own = rows[rows["policy"] == policy]
            if len(own):
                metrics[f"benchmark.{task}.{policy}"] = bounded_mean(own["right"], 0, 1, list(own["item"]))
        first, second = (rows[rows["policy"] == policy] for policy in (engraved, verbose))
        pairs = first.merge(second, on=["item", "question"], suffixes=("_engraved", "_verbose"), validate="one_to_one")
        if len(pairs):
            difference = pairs["right_verbose"] - pairs["right_engraved"]
            metrics[f"benchmark.{task}.{TAX}"] = bounded_mean(difference, -1, 1, list(pairs["item"]))
    return metrics
