"""What several runs say together: an interval over prompts belongs to one training, the spread over runs to another.

Tables are long: `run, metric, value, low, high, n`, one row a run and metric, `low` and `high` a 95 % interval over the
prompts or pairs of that run (missing where there is none).
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

#: Fewer runs a side say too little of their spread for a verdict: with two, a t interval is 12.7 standard errors wide.
MIN_RUNS = 3

ONE_RUN = "one run a side: nothing is known of another training"
FEW_RUNS = f"fewer than {MIN_RUNS} runs a side: no verdict"
DIFFERENT = "different"
NOT_TOLD_APART = "not told apart"

#: A 95 % interval reaches so many standard errors to either side.
_Z = float(stats.norm.ppf(0.975))


def over_runs(table: pd.DataFrame) -> pd.DataFrame:
    """Return what the runs of a table have in common, a row a metric in its order of appearance.

    Columns: `metric`; `mean` and `sd` of the values over runs (`sd` is missing for one run); `half_width`, the mean
    half-width of the intervals over prompts (missing where no run has one); `runs`; `n`, the least of the runs' n.
    """
    grouped = table.assign(half_width=(table["high"] - table["low"]) / 2).groupby("metric", sort=False)
    return grouped.agg(
        mean=("value", "mean"),
        sd=("value", "std"),
        half_width=("half_width", "mean"),
        runs=("run", "nunique"),
        n=("n", "min"),
    ).reset_index()


def compare_sides(table: pd.DataFrame, first: Sequence[str], second: Sequence[str]) -> pd.DataFrame:
    """Compare two groups of runs: the mean of `second` minus the mean of `first`, a row a metric that both sides have.

    The variance of a side's mean is the variance of its runs' values over their number, and the squared standard error
    over prompts, which more runs do not lower because they answer the same prompts. The interval is Welch's: degrees of
    freedom by Satterthwaite, a side's run-to-run part with runs - 1 of them. Where the prompts' errors of two runs are
    independent, or the same for both sides, it is wider than need be, never narrower.

    Columns: `metric, difference, low, high, verdict`, then for each side `mean`, `sd`, `half_width` and `runs` with
    `_first` and `_second` behind it, and `n`, the least of all. `low` and `high` are missing, and the verdict says why,
    with fewer than three runs on a side. Raises `ValueError` for a run that is not in the table, stands twice or on
    both sides, and for a side without runs.
    """
    _check_sides(table, first, second)
    sides = [over_runs(table[table["run"].isin(names)]) for names in (first, second)]
    rows = sides[0].merge(sides[1], on="metric", suffixes=("_first", "_second"))
    spread = [rows[f"sd_{side}"] ** 2 / rows[f"runs_{side}"] for side in ("first", "second")]
    prompts = sum((rows[f"half_width_{side}"].fillna(0.0) / _Z) ** 2 for side in ("first", "second"))
    variance = spread[0] + spread[1] + prompts
    weights = spread[0] ** 2 / (rows["runs_first"] - 1) + spread[1] ** 2 / (rows["runs_second"] - 1)
    # no spread at all, as of a reference that stands at 0 in every run: as many degrees of freedom as one likes
    freedom = (variance**2 / weights.where(weights > 0)).fillna(np.inf)
    enough = rows[["runs_first", "runs_second"]].min(axis=1) >= MIN_RUNS
    reach = pd.Series(stats.t.ppf(0.975, freedom), index=rows.index) * np.sqrt(variance)
    difference = rows["mean_second"] - rows["mean_first"]
    compared = rows.assign(
        difference=difference,
        low=(difference - reach).where(enough),
        high=(difference + reach).where(enough),
        n=rows[["n_first", "n_second"]].min(axis=1),
    )
    compared["verdict"] = [_verdict(row) for row in compared.to_dict("records")]
    per_side = [f"{name}_{side}" for side in ("first", "second") for name in ("mean", "sd", "half_width", "runs")]
    return compared[["metric", "difference", "low", "high", "verdict", *per_side, "n"]]


def _verdict(row: dict[str, float]) -> str:
    runs = min(row["runs_first"], row["runs_second"])
    if runs < MIN_RUNS:
        return ONE_RUN if runs == 1 else FEW_RUNS
    return DIFFERENT if row["low"] > 0 or row["high"] < 0 else NOT_TOLD_APART


def _check_sides(table: pd.DataFrame, first: Sequence[str], second: Sequence[str]) -> None:
    known, names = list(dict.fromkeys(table["run"])), [*first, *second]
    if not first or not second:
        raise ValueError(f"a comparison needs runs on both sides, got {len(first)} and {len(second)} of {known}")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"there is no run {unknown[0]!r} to compare; the runs are {known}")
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise ValueError(f"the run {twice[0]!r} stands twice in a comparison: each run belongs to one side, once")
