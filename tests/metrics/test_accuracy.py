import numpy as np
import pytest

from cai_kedro.metrics.accuracy import pairwise_accuracy
from cai_kedro.metrics.estimate import bounded_mean, proportion


def test_ties_are_half_right() -> None:
    assert pairwise_accuracy([2.0, 0.1, -3.0, 0.0]) == bounded_mean([1, 1, 0, 0.5], 0, 1)
    assert pairwise_accuracy([2.0, 0.1, -3.0, 1.0]) == pytest.approx(proportion(3, 4))
    assert pairwise_accuracy([1.0, 1.0, -1.0])["value"] == pytest.approx(2 / 3)
    assert pairwise_accuracy([0.0, 0.0])["value"] == 0.5


def test_pairs_of_one_prompt_are_no_independent_evidence() -> None:
    margins, prompts = np.repeat([1.0, 1.0, 1.0, -1.0], 5), np.repeat(list("abcd"), 5)
    together, alone = pairwise_accuracy(margins, list(prompts)), pairwise_accuracy(margins)
    assert together["value"] == alone["value"] == 0.75
    assert together["n"] == 20
    # as many as there are prompts: the interval of 3 in 4
    assert together["low"] == pytest.approx(proportion(3, 4)["low"])
    assert alone["low"] == pytest.approx(proportion(15, 20)["low"])


@pytest.mark.parametrize("margins", [[], [1.0, float("nan")], [float("inf")]])
def test_no_margins_or_no_numbers_are_refused(margins: list[float]) -> None:
    with pytest.raises(ValueError, match="needs finite margins"):
        pairwise_accuracy(margins)
