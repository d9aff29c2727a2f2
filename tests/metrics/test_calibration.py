import numpy as np
import pytest

from cai_kedro.metrics.calibration import (
    Bins,
    calibration_error,
    confidence_and_correct,
    expected_calibration_error,
    reliability_table,
)

TEN = Bins(10, "equal_width")
P = [0.1, 0.15, 0.7, 0.75, 0.75]
OUTCOME = [0, 1, 1, 1, 0]


def test_the_error_is_the_one_derived_by_hand() -> None:
    # bin .1-.2: mean p .125, share .5, gap .375, 2 of 5 rows; bin .7-.8: mean p .7333, share .6667, gap .0667, 3 of 5
    assert expected_calibration_error(P, OUTCOME, TEN) == pytest.approx(0.4 * 0.375 + 0.6 * 0.0666667, abs=1e-6)


def test_the_reliability_table_leaves_empty_bins_out_and_has_intervals() -> None:
    table = reliability_table(P, OUTCOME, TEN)
    assert list(table.columns) == ["mean_p", "value", "low", "high", "n"]
    assert table["mean_p"].tolist() == pytest.approx([0.125, 0.733333], abs=1e-6)
    assert table["value"].tolist() == pytest.approx([0.5, 0.666667], abs=1e-6)
    assert table["n"].tolist() == [2, 3]
    assert ((table["low"] <= table["value"]) & (table["value"] <= table["high"])).all()


def test_bins_of_equal_mass_hold_as_many_rows_each() -> None:
    p = np.linspace(0.9, 1, 40) ** 2
    assert reliability_table(p, np.ones(40), Bins(4, "equal_mass"))["n"].tolist() == [10, 10, 10, 10]


def test_equal_probabilities_share_a_bin() -> None:
    # clamped labels: two values only
    p = np.repeat([0.4, 0.6], [70, 30])
    table = reliability_table(p, np.repeat([0, 1], [70, 30]), Bins(10, "equal_mass"))
    assert table["n"].tolist() == [70, 30]
    assert expected_calibration_error(p, np.repeat([0, 1], [70, 30]), Bins(10, "equal_mass")) == pytest.approx(0.4)


def test_a_probability_of_one_has_a_bin() -> None:
    assert expected_calibration_error([1.0, 1.0], [1, 1], TEN) == 0
    assert expected_calibration_error([1.0, 0.0], [0, 1], TEN) == 1


def test_confidence_does_not_depend_on_which_answer_is_called_a() -> None:
    p, truth = np.array([0.9, 0.2, 0.5, 0.3]), np.array([1.0, 0.0, 1.0, 1.0])
    confidence, correct = confidence_and_correct(p, truth)
    assert confidence.tolist() == pytest.approx([0.9, 0.8, 0.5, 0.7])
    assert correct.tolist() == [1, 1, 0.5, 0]
    swapped = confidence_and_correct(1 - p, 1 - truth)
    assert swapped[0] == pytest.approx(confidence)
    assert swapped[1].tolist() == correct.tolist()


def test_a_biased_forecast_shows_its_bias_within_its_interval() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(0.1, 0.8, size=4000)
    outcome = rng.random(4000) < p + 0.15
    estimate = calibration_error(p, outcome, TEN, 300, seed=0)
    assert estimate["low"] < 0.15 < estimate["high"]  # type: ignore[operator]
    assert estimate["value"] == pytest.approx(0.15, abs=0.03)
    assert estimate["n"] == 4000


def test_the_interval_of_a_calibrated_forecast_reaches_zero() -> None:
    # the plain error of 100 calibrated rows is far from 0, the interval must say that this means nothing
    rng = np.random.default_rng(2)
    p = rng.uniform(0, 1, size=100)
    outcome = rng.random(100) < p
    assert expected_calibration_error(p, outcome, TEN) > 0.05
    estimate = calibration_error(p, outcome, TEN, 300, seed=0)
    assert estimate["value"] < 0.02
    assert estimate["low"] == 0
    assert estimate["low"] <= estimate["value"] <= estimate["high"]  # type: ignore[operator]


def test_rows_of_one_prompt_widen_the_interval() -> None:
    rng = np.random.default_rng(1)
    p = np.repeat(rng.uniform(0.5, 1, size=150), 4)
    outcome = np.repeat(rng.random(150), 4) < p - 0.15
    alone, together = (
        calibration_error(p, outcome, TEN, 300, 0, clusters) for clusters in (None, list(np.repeat(np.arange(150), 4)))
    )
    assert together["high"] - together["low"] > 1.4 * (alone["high"] - alone["low"])  # type: ignore[operator]
    assert together["low"] < 0.15 < together["high"]  # type: ignore[operator]
    with pytest.raises(ValueError, match="one cluster per row, got 3 for 600 rows"):
        calibration_error(p, outcome, TEN, 300, 0, [1, 2, 3])


@pytest.mark.parametrize(
    ("p", "outcome", "message"),
    [
        ([], [], "as many outcomes as probabilities"),
        ([0.5, 0.5], [1], "as many outcomes as probabilities"),
        ([1.5], [1], "in \\[0, 1\\]"),
        ([0.5], [np.nan], "in \\[0, 1\\]"),
    ],
)
def test_what_are_no_probabilities_is_refused(p: list[float], outcome: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(p, outcome, TEN)


def test_no_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Bins(0, "equal_mass")
