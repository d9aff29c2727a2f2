import numpy as np
import pytest

from cai_kedro.metrics.estimate import (
    bounded_mean,
    mean,
    paired_difference,
    percentile_interval,
    proportion,
    resampled_sums,
)

Z = 1.959964  # 97.5 % quantile of the normal distribution


def test_the_wilson_interval_of_eight_in_ten_is_the_one_derived_by_hand() -> None:
    # centre (.8 + z²/20) / (1 + z²/10) = .99207 / 1.38415, half width z / 1.38415 * sqrt(.016 + z²/400) = .22658
    assert proportion(8, 10) == pytest.approx({"value": 0.8, "low": 0.49016, "high": 0.94332, "n": 10}, abs=1e-5)


def test_wilson_bounds_solve_their_defining_equation() -> None:
    # each bound is the share p at which the observed one is exactly z standard errors away
    estimate = proportion(37, 120)
    for bound in (estimate["low"], estimate["high"]):
        assert bound is not None
        assert abs(37 / 120 - bound) == pytest.approx(Z * np.sqrt(bound * (1 - bound) / 120), rel=1e-5)


def test_none_and_all_of_them_keep_an_interval_of_some_width() -> None:
    none, every = proportion(0, 20), proportion(20, 20)
    assert (none["low"], every["high"]) == (0.0, 1.0)
    assert none["high"] == pytest.approx(Z**2 / (20 + Z**2), abs=1e-6)
    assert every["low"] == pytest.approx(20 / (20 + Z**2), abs=1e-6)


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_a_share_of_nothing_or_beyond_all_is_refused(successes: float, n: int) -> None:
    with pytest.raises(ValueError, match="0 <= successes <= n and n > 0"):
        proportion(successes, n)


def test_the_t_interval_of_one_to_four_is_the_one_derived_by_hand() -> None:
    # sd 1.290994, standard error .645497, t(.975, 3 degrees of freedom) = 3.182446
    half = 3.182446 * 0.645497
    assert mean([1, 2, 3, 4]) == pytest.approx({"value": 2.5, "low": 2.5 - half, "high": 2.5 + half, "n": 4}, abs=1e-5)


def test_one_value_has_no_interval() -> None:
    assert mean([3.5]) == {"value": 3.5, "low": None, "high": None, "n": 1}


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [np.inf]])
def test_a_mean_of_nothing_or_of_no_numbers_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite values"):
        mean(values)


@pytest.mark.parametrize("successes", [0, 1, 13, 40])
def test_the_mean_of_0_and_1_has_the_wilson_interval(successes: int) -> None:
    outcomes = np.arange(40) < successes
    assert bounded_mean(outcomes, 0, 1) == pytest.approx(proportion(successes, 40), abs=1e-9)
    # the scale is only a unit
    assert bounded_mean(4 * outcomes, 0, 4)["high"] == pytest.approx(4 * proportion(successes, 40)["high"])  # type: ignore[operator]


def test_a_mean_on_a_scale_counts_as_many_trials_as_have_its_variance() -> None:
    # one more value, half 0 and half 1: mean (2 + .5) / 5 = .5, spread 2 * .25² * 2 + .25 = .5 of 5 * .25 = 1.25
    effective = 4 / (0.5 / 1.25)
    expected = proportion(0.5 * effective, effective)  # type: ignore[arg-type]
    assert bounded_mean([0.25, 0.75, 0.25, 0.75], 0, 1) == pytest.approx({**expected, "n": 4})


def test_a_mean_where_all_agree_keeps_to_the_scale_and_has_a_width() -> None:
    every = bounded_mean([4.0] * 12, 0, 4)
    assert every["high"] == every["value"] == 4
    assert every["low"] == pytest.approx(4 * proportion(12, 12)["low"])  # type: ignore[operator]
    same = bounded_mean(np.zeros(200), -1, 1)
    assert same["value"] == 0
    assert same["low"] == pytest.approx(-same["high"])  # type: ignore[operator]
    assert 1 / 200 < same["high"] < 3 / 200  # type: ignore[operator]


@pytest.mark.parametrize(
    ("values", "clusters", "message"),
    [
        ([], None, "finite values of shape"),
        ([1.0, np.nan], None, "1 not finite"),
        ([np.inf], None, "1 not finite"),
        ([4.5], None, "a scale from 0 to 4 needs values on it, got 4.5 to 4.5"),
        ([1.0, 2.0], ["a"], "one cluster per value, got 1 for 2 values"),
    ],
)
def test_what_is_off_the_scale_or_no_number_is_refused(
    values: list[float], clusters: list[str] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        bounded_mean(values, 0, 4, clusters)


def test_resampled_sums_keep_rows_whole() -> None:
    values = np.array([[1.0, 10.0], [2.0, 20.0], [5.0, 50.0]])
    sums = resampled_sums(values, 200, seed=3)
    assert sums.shape == (200, 2)
    assert sums[:, 1] == pytest.approx(10 * sums[:, 0])
    assert sums[:, 0].min() >= 3
    assert sums[:, 0].max() <= 15
    assert np.array_equal(sums, resampled_sums(values, 200, seed=3))
    assert not np.array_equal(sums, resampled_sums(values, 200, seed=4))


def test_no_resamples_are_refused() -> None:
    with pytest.raises(ValueError, match="n_bootstrap must be at least 1, got 0"):
        resampled_sums(np.ones((3, 1)), 0, seed=0)


def test_the_percentile_interval_of_0_to_1000() -> None:
    assert percentile_interval(np.arange(1001.0)) == pytest.approx((25.0, 975.0))
    with pytest.raises(ValueError, match="finite draws, got 2, 1 not finite"):
        percentile_interval(np.array([0.0, np.nan]))


def test_the_paired_difference_knows_that_the_rows_belong_together() -> None:
    rng = np.random.default_rng(0)
    difficulty = rng.normal(0, 10, size=200)
    first, second = difficulty + 1 + rng.normal(0, 0.1, size=200), difficulty
    estimate = paired_difference(first, second, 500, seed=1)
    assert estimate["value"] == pytest.approx((first - second).mean())
    assert estimate["n"] == 200
    # standard error .1 / sqrt(200) = .0071, so 1.96 of it is .0139 on either side
    assert estimate["high"] - estimate["low"] == pytest.approx(2 * 0.0139, rel=0.25)  # type: ignore[operator]
    assert paired_difference(second, first, 500, seed=1)["value"] == pytest.approx(-estimate["value"])


def test_the_bootstrap_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    covered = 0
    for trial in range(200):
        sample = rng.exponential(1.0, size=60)
        estimate = paired_difference(sample, np.zeros(60), 200, seed=trial)
        covered += estimate["low"] <= 1.0 <= estimate["high"]  # type: ignore[operator]
    assert 0.88 <= covered / 200 <= 0.98


def test_unequal_or_no_rows_have_no_paired_difference() -> None:
    with pytest.raises(ValueError, match="paired difference"):
        paired_difference([], [], 100, seed=0)
