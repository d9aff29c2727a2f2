"""Agreement of readers and raters, against values worked out by hand."""

import pytest

from cai_kedro.metrics.agreement import agreement, krippendorff_alpha


def test_alpha_of_two_readers_worked_out_by_hand() -> None:
    # of 50: both yes 20, both no 15, unlike 15; of the 100 labels 55 are yes and 45 no
    both = [("yes", "yes")] * 20 + [("no", "no")] * 15 + [("yes", "no")] * 5 + [("no", "yes")] * 10
    alpha = krippendorff_alpha(both)
    assert alpha["value"] == pytest.approx(1 - (15 / 50) / (2 * 55 * 45 / (100 * 99)))
    assert alpha["n"] == 50
    assert 0.1 < alpha["low"] < alpha["value"] < alpha["high"] < 0.7
    share = agreement(both)
    assert (share["value"], share["n"]) == (0.7, 50)
    assert share["low"] < 0.7 < share["high"]


def test_not_everybody_has_to_label_everything() -> None:
    # labels per item: 3, 3, 2, and one that says nothing; unlike pairs within items: 0, 2 of 3, 1 of 1
    items = [("a", "a", "a"), ("a", "b", "a"), ("b", "a"), ("b",)]
    assert agreement(items)["value"] == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert agreement(items)["n"] == 3
    # disagreement seen: (0 + 4 / 2 + 2 / 1) / 8, expected with 6 a and 2 b: 2 * 6 * 2 / (8 * 7)
    assert krippendorff_alpha(items)["value"] == pytest.approx(1 - (4 / 8) / (24 / 56))


def test_full_agreement_none_and_the_opposite() -> None:
    assert krippendorff_alpha([(0, 0), (1, 1), (2, 2), (0, 0)])["value"] == 1
    assert krippendorff_alpha([(0, 1), (1, 0), (0, 1), (1, 0)])["value"] == pytest.approx(1 - 1 / (32 / 56))
    assert agreement([(0, 1), (1, 0)])["value"] == 0


def test_what_has_no_alpha_is_refused() -> None:
    with pytest.raises(ValueError, match="every label is 'yes'"):
        krippendorff_alpha([("yes", "yes")] * 2)
    with pytest.raises(ValueError, match="none of 2 has them"):
        krippendorff_alpha([("yes",), ()])
    with pytest.raises(ValueError, match="none of 0 has them"):
        agreement([])
