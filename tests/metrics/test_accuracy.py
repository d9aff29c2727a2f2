import pytest

from cai_kedro.metrics.accuracy import pairwise_accuracy
from cai_kedro.metrics.estimate import proportion


def test_ties_are_half_right() -> None:
    assert pairwise_accuracy([2.0, 0.1, -3.0, 0.0]) == proportion(2.5, 4)
    assert pairwise_accuracy([1.0, 1.0, -1.0])["value"] == pytest.approx(2 / 3)
    assert pairwise_accuracy([0.0, 0.0])["value"] == 0.5


@pytest.mark.parametrize("margins", [[], [1.0, float("nan")]])
def test_no_margins_or_no_numbers_are_refused(margins: list[float]) -> None:
    with pytest.raises(ValueError, match="margins that are numbers"):
        pairwise_accuracy(margins)
