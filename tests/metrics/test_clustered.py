"""Means and separation with prompts as the unit."""

import numpy as np
import pytest

from cai_kedro.metrics.clustered import mean_over_prompts, separation


def test_a_mean_is_that_of_all_answers_and_n_counts_prompts() -> None:
    found = mean_over_prompts([1, 1, 0, 0, 0, 1], ["a", "a", "a", "b", "b", "b"], 200, 0)
    assert found["value"] == 0.5
    assert found["n"] == 2


def test_answers_to_one_prompt_are_no_independent_evidence() -> None:
    rng = np.random.default_rng(0)
    prompts = [f"p{i}" for i in range(40) for _ in range(20)]
    of_prompt = np.repeat(rng.integers(0, 2, 40), 20).astype(float)
    independent = rng.integers(0, 2, 800).astype(float)
    wide, narrow = (mean_over_prompts(values, prompts, 500, 1) for values in (of_prompt, independent))

    def width(estimate: dict) -> float:
        return estimate["high"] - estimate["low"]

    assert width(wide) == pytest.approx(2 * 1.96 * of_prompt.std() / np.sqrt(40), rel=0.15)
    assert width(narrow) < width(wide) / 3


def test_separation_is_the_share_of_pairs_won_with_ties_half() -> None:
    found = separation(([1.0, 0.0], ["a", "b"]), ([0.0, 0.0, 2.0], ["a", "b", "b"]), 200, 0)
    assert found["value"] == pytest.approx((1 + 1 + 0 + 0.5 + 0.5 + 0) / 6)
    assert found["n"] == 2
    assert found["low"] <= found["value"] <= found["high"]


def test_only_answers_of_one_stratum_are_compared() -> None:
    """Longer answers score higher under both policies, and the first policy is long: all of it is length."""
    first, second = ([3.0, 3.0, 3.0, 1.0], list("abcd")), ([1.0, 1.0, 1.0, 3.0], list("abcd"))
    lengths = (["long", "long", "long", "short"], ["short", "short", "short", "long"])
    assert separation(first, second, 200, 0)["value"] == pytest.approx((9 + 3 * 0.5 + 3 * 0.5) / 16)
    assert separation(first, second, 200, 0, lengths)["value"] == 0.5


def test_the_interval_is_over_prompts_of_both_policies() -> None:
    """One prompt decides: without it nothing is won."""
    prompts = [f"p{i}" for i in range(10)]
    found = separation(([1.0] + [0.0] * 9, prompts), ([0.0] * 10, prompts), 2000, 0)
    assert found["value"] == pytest.approx(0.55)
    assert found["low"] == 0.5
    assert found["high"] == pytest.approx(0.65, abs=0.026)


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(ValueError, match="no two answers can be compared"):
        separation(([1.0], ["a"]), ([1.0], ["a"]), 100, 0, (["x"], ["y"]))
    with pytest.raises(ValueError, match="one prompt per finite value"):
        mean_over_prompts([1.0, float("nan")], ["a", "b"], 100, 0)
    with pytest.raises(ValueError, match="a separation needs finite scores"):
        separation(([float("nan")], ["a"]), ([1.0], ["a"]), 100, 0)
