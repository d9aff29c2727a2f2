import pytest

from cai_kedro.reporting.wording import (
    SPACE,
    below,
    differs,
    digits_for,
    finer,
    listed,
    number,
    observations,
    percent,
    points,
    told,
)
from tests.reporting.tables import estimate


def test_numbers_have_a_true_minus_and_no_negative_zero() -> None:
    assert [number(value) for value in (-12.4, -0.3, 0.0, 7.6)] == ["−12", "0", "0", "8"]
    assert number(-0.04, 1) == "0.0"
    assert number(-1.25, 2) == "−1.25"


def test_an_estimate_is_told_with_interval_and_n() -> None:
    share = estimate(0.567, 0.52, 0.61, 1600)
    assert percent(share).replace(SPACE, " ") == "57 % [52, 61], n = 1,600"
    assert percent(share, n=False).replace(SPACE, " ") == "57 % [52, 61]"
    assert told(estimate(-2.756, -3.0, -2.5), 2, n=False) == "−2.76 [−3.00, −2.50]"
    assert told(estimate(0.0), n=False) == "0", "a reference has no interval"
    assert told(estimate(4.0, 4.0, 4.0), n=False) == "4 [4, 4]", "a width of 0 is an interval"
    assert points(estimate(0.031, 0.01, 0.05)).startswith("+3.1 points [1.0, 5.0]")
    assert points(estimate(-0.031, -0.05, 0.01)).startswith("−3.1 points [−5.0, 1.0]")


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0.1, 0.2, True), (-0.2, -0.1, True), (-0.1, 0.1, False), (None, None, False)]
)
def test_a_difference_is_shown_where_the_interval_leaves_out_0(low: float, high: float, expected: bool) -> None:
    assert differs(estimate(0.0, low, high)) == expected


def test_an_interval_is_not_written_as_one_number() -> None:
    wide, narrow, bare = estimate(0.5, 0.4, 0.6), estimate(-0.0091, -0.0106, -0.0076), estimate(1.0)
    assert [digits_for(each, 2) for each in ([wide, bare], [wide, narrow], [bare], [])] == [2, 3, 2, 2]
    assert told(narrow, digits_for([narrow], 2), n=False) == "−0.009 [−0.011, −0.008]"
    assert digits_for([narrow], 0, scale=100) == 1
    assert [finer(distance, 2) for distance in (None, 0.0, 0.3, 2.3e-5, 1e-12)] == [2, 2, 2, 5, 6]


def test_lists_and_counts() -> None:
    assert [listed(names) for names in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    assert observations([estimate(0, n=24), estimate(0, n=24)]).replace(SPACE, " ") == "n = 24"
    assert observations([estimate(0, n=240), estimate(0, n=2400)]).replace(SPACE, " ") == "n = 240–2,400"


def test_below_takes_one_more_word() -> None:
    metrics = {name: estimate(1) for name in ("elo.harmlessness.a", "elo.harmlessness.act.a", "elo.harmlessness2.b")}
    assert list(below(metrics, "elo.harmlessness")) == ["a"]
