from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cai_kedro.metrics.between_runs import DIFFERENT, FEW_RUNS, NOT_TOLD_APART, ONE_RUN, compare_sides, over_runs

Z = 1.959964


def _table(values: dict[str, float], half: float | None = 10.0, metric: str = "elo") -> pd.DataFrame:
    rows = [
        (run, metric, value, None if half is None else value - half, None if half is None else value + half, 600)
        for run, value in values.items()
    ]
    return pd.DataFrame(rows, columns=["run", "metric", "value", "low", "high", "n"]).astype(
        {"low": float, "high": float}
    )


def _sides(first: list[float], second: list[float], half: float | None = 10.0) -> dict[str, object]:
    names = [[f"{side}{i}" for i in range(len(values))] for side, values in (("a", first), ("b", second))]
    values = dict(zip([*names[0], *names[1]], [*first, *second], strict=True))
    return compare_sides(_table(values, half), *names).iloc[0].to_dict()


def test_runs_have_a_mean_a_spread_and_the_interval_of_their_prompts() -> None:
    table = pd.concat([_table({"a": 494, "b": 549, "c": 568}), _table({"a": 1}, None, "reference")])
    elo, reference = over_runs(table).to_dict("records")
    # of 494, 549, 568: mean 537, squared distances 1849 + 144 + 961 over 2
    assert (elo["mean"], elo["sd"], elo["half_width"], elo["runs"], elo["n"]) == (537, 1477**0.5, 10, 3, 600)
    assert reference["runs"] == 1
    assert pd.isna(reference["sd"])
    assert pd.isna(reference["half_width"])


def test_a_difference_holds_the_spread_of_the_runs_and_the_prompts() -> None:
    row = _sides([90, 100, 110], [200, 220, 240], half=Z)  # a standard error over prompts of 1
    # runs: 10^2 / 3 and 20^2 / 3; prompts: 1 of each side
    variance = 100 / 3 + 400 / 3 + 2
    freedom = variance**2 / ((100 / 3) ** 2 / 2 + (400 / 3) ** 2 / 2)
    reach = stats.t.ppf(0.975, freedom) * variance**0.5
    assert row["difference"] == 120
    assert row["low"] == pytest.approx(120 - reach, rel=1e-6)
    assert row["high"] == pytest.approx(120 + reach, rel=1e-6)
    assert (row["runs_first"], row["runs_second"], row["n"]) == (3, 3, 600)
    assert (row["mean_first"], row["sd_second"], row["verdict"]) == (100, 20, DIFFERENT)


def test_without_spread_over_runs_the_prompts_remain() -> None:
    row = _sides([100, 100, 100], [103, 103, 103], half=Z)
    assert (row["low"], row["high"]) == (
        pytest.approx(3 - Z * 2**0.5, abs=1e-5),
        pytest.approx(3 + Z * 2**0.5, abs=1e-5),
    )
    fixed = _sides([0, 0, 0], [0, 0, 0], half=None)
    assert (fixed["low"], fixed["high"], fixed["verdict"]) == (0, 0, NOT_TOLD_APART)


@pytest.mark.parametrize(
    ("runs", "verdict"), [((1, 1), ONE_RUN), ((1, 3), ONE_RUN), ((2, 2), FEW_RUNS), ((2, 5), FEW_RUNS)]
)
def test_too_few_runs_get_no_verdict(runs: tuple[int, int], verdict: str) -> None:
    row = _sides([100.0] * runs[0], [900.0] * runs[1])
    assert row["verdict"] == verdict
    assert pd.isna(row["low"])
    assert pd.isna(row["high"])
    assert row["difference"] == 800, "the difference of these very runs is a fact"


def test_runs_whose_intervals_lie_apart_are_no_two_settings() -> None:
    # every run of the second side lies outside the interval over prompts of the first run
    row = _sides([494, 549, 568], [524, 570, 590], half=22)
    assert row["verdict"] == NOT_TOLD_APART


def test_sides_are_checked() -> None:
    table = _table({"a": 1, "b": 2})
    with pytest.raises(ValueError, match=r"no run 'c' to compare; the runs are \['a', 'b'\]"):
        compare_sides(table, ["a"], ["c"])
    with pytest.raises(ValueError, match="'a' stands twice"):
        compare_sides(table, ["a"], ["b", "a"])
    with pytest.raises(ValueError, match="both sides, got 0 and 1"):
        compare_sides(table, [], ["b"])


def _share_called_different(between: float, runs: tuple[int, int], shared: float, gap: float = 0.0) -> float:
    """Simulate pairs of groups of runs; errors over prompts have a standard deviation of 1.

    `between` is the standard deviation from run to run, `shared` the share of the prompts' variance that all runs of a
    side have in common, `gap` how far the second side truly lies above the first.
    """
    rng, trials = np.random.default_rng(0), 4000
    sides = []
    for side, k in enumerate(runs):
        common = rng.normal(0, shared**0.5, (trials, 1))
        own = rng.normal(0, (1 - shared) ** 0.5, (trials, k))
        sides.append(gap * side + rng.normal(0, between, (trials, k)) + own + common)
    names = [f"{side}{i}" for side, k in enumerate(runs) for i in range(k)]
    values = np.concatenate(sides, axis=1)
    rows = [(run, trial, values[trial, i]) for (i, run), trial in product(enumerate(names), range(trials))]
    table = pd.DataFrame(rows, columns=["run", "metric", "value"])
    table = table.assign(low=table["value"] - Z, high=table["value"] + Z, n=600)
    compared = compare_sides(table, names[: runs[0]], names[runs[0] :])
    return float((compared["verdict"] == DIFFERENT).mean())


@pytest.mark.parametrize("runs", [(3, 3), (3, 6), (5, 5)])
@pytest.mark.parametrize("shared", [0.0, 1.0])
@pytest.mark.parametrize("between", [0.0, 2.0, 4.0, 8.0])
def test_groups_from_one_distribution_are_called_different_in_a_twentieth(
    between: float, runs: tuple[int, int], shared: float
) -> None:
    share = _share_called_different(between, runs, shared)
    assert share < 0.06
    if between >= 4:  # runs differ by twice the half-width of their intervals, and the interval is not too wide either
        assert share > 0.025


def test_groups_that_do_differ_are_told_apart() -> None:
    assert _share_called_different(between=2.0, runs=(3, 3), shared=0.0, gap=12.0) > 0.9
