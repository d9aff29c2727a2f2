"""Agreement of two readers, against values worked out by hand."""

import pytest

from cai_kedro.metrics.agreement import agreement, cohen_kappa


def test_kappa_of_a_table_worked_out_by_hand() -> None:
    # of 50: both yes 20, both no 15, yes-no 5, no-yes 10: alike 0.7; by chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5
    first = ["yes"] * 25 + ["no"] * 25
    second = ["yes"] * 20 + ["no"] * 5 + ["yes"] * 10 + ["no"] * 15
    kappa = cohen_kappa(first, second)
    assert kappa["value"] == pytest.approx(0.4)
    assert kappa["n"] == 50
    assert 0.1 < kappa["low"] < 0.4 < kappa["high"] < 0.7
    assert agreement(first, second)["value"] == pytest.approx(0.7)


def test_full_agreement_none_and_the_opposite() -> None:
    assert cohen_kappa([0, 1, 2, 0], [0, 1, 2, 0])["value"] == 1
    assert cohen_kappa([0, 0, 1, 1], [0, 1, 0, 1])["value"] == 0
    assert cohen_kappa([0, 1, 0, 1], [1, 0, 1, 0])["value"] == -1


def test_what_has_no_kappa_is_refused() -> None:
    with pytest.raises(ValueError, match="'yes' throughout"):
        cohen_kappa(["yes", "yes"], ["yes", "yes"])
    with pytest.raises(ValueError, match="got 2, 1"):
        cohen_kappa(["yes", "no"], ["yes"])
    with pytest.raises(ValueError, match="got 0, 0"):
        cohen_kappa([], [])
