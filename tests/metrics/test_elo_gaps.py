"""Neighbours in the ranking, against answers derived by hand, another implementation, and exact binomial tests."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.linear_model import LogisticRegression

from cai_kedro.metrics.bradley_terry import PRIOR_TIES, elo_ratings
from cai_kedro.metrics.elo_gaps import more_prompts, neighbour_gaps, sign_flip_p, surplus_per_prompt
from tests.metrics.test_bradley_terry import head_to_heads, simulate


def wins(won: int, of: int) -> pd.DataFrame:
    return head_to_heads([(f"p{i}", "a", "b", float(i < won)) for i in range(of)])


def test_sixty_wins_of_a_hundred() -> None:
    # z = (60 - 40) / sqrt(100) = 2; the sign test has P(|X - 50| >= 10) = .0569; and a gap of .6 to .4 is found with a
    # chance of .8 at z = 1.960 + .842, so with 100 * (2.802 / 2)^2 = 196.2 prompts, 97 more
    (gap,) = neighbour_gaps(wins(60, 100), "b", 8000, seed=0)
    assert (gap.upper, gap.lower) == ("a", "b")
    assert gap.elo["value"] == pytest.approx(400 * math.log10(60.5 / 40.5), abs=1e-3)
    assert gap.elo["n"] == 100
    assert gap.p_value == pytest.approx(stats.binomtest(60, 100).pvalue, abs=0.01)
    assert gap.more_prompts == 97


def test_the_prompts_to_add_give_the_power_that_was_promised() -> None:
    n = 100 + 97
    critical = next(k for k in range(n // 2, n) if stats.binomtest(k, n).pvalue < 0.05)
    assert stats.binom.sf(critical - 1, n, 0.6) == pytest.approx(0.8, abs=0.04)


@pytest.mark.parametrize("n", [2, 5, 8])
def test_one_sided_results_are_as_sure_as_their_number_allows(n: int) -> None:
    # a bootstrap of results that are all the same has no spread: it would be sure after two prompts
    (gap,) = neighbour_gaps(wins(n, n), "b", 5000, seed=1)
    assert gap.p_value == pytest.approx(2 * 0.5**n, abs=0.02)
    assert math.isfinite(gap.elo["value"])
    assert (gap.more_prompts == 0) == (2 * 0.5**n < 0.05)


def test_even_results_are_never_told_apart() -> None:
    (gap,) = neighbour_gaps(wins(5, 10), "b", 200, seed=0)
    assert gap.p_value == 1
    assert gap.more_prompts is None


def test_the_ranking_is_walked_from_the_top() -> None:
    table = simulate({"low": 0, "top": 500, "middle": 250}, 300)
    gaps = neighbour_gaps(table, "low", 200, seed=0)
    assert [(gap.upper, gap.lower) for gap in gaps] == [("top", "middle"), ("middle", "low")]
    ratings = elo_ratings(table, "low", 200, seed=0)
    assert gaps[0].elo["value"] == pytest.approx(ratings["top"]["value"] - ratings["middle"]["value"])
    assert all(gap.p_value < 0.02 and gap.more_prompts == 0 for gap in gaps)
    assert gaps[1].elo["low"] < gaps[1].elo["value"] < gaps[1].elo["high"]  # type: ignore[operator]


def test_equal_policies_are_called_different_as_rarely_as_it_says() -> None:
    found = 0
    for seed in range(40):
        gaps = neighbour_gaps(simulate({"a": 0, "b": 300, "c": 300}, 40, seed), "a", 200, seed)
        found += next(gap for gap in gaps if "a" not in (gap.upper, gap.lower)).p_value < 0.05
    assert found <= 6  # 5 % of 40 is 2, and more than 6 has a chance of .3 %


def test_whom_a_policy_met_makes_no_difference() -> None:
    # b and c are equally strong, but b met the weak policy only and c the strong one only
    strong = simulate({"strong": 400, "b": 0, "c": 0, "weak": -400}, 4000, seed=3)
    met = strong.apply(lambda row: {row["policy_a"], row["policy_b"]}, axis=1)
    kept = strong[met.map(lambda pair: pair in ({"b", "weak"}, {"c", "strong"}, {"strong", "weak"}))]
    surplus = surplus_per_prompt(kept, "b", "c")
    assert abs(surplus.mean()) < 2.5 * surplus.std() / math.sqrt(len(surplus))
    wins_of_b = kept.loc[kept["policy_a"] == "b", "outcome"].mean()
    assert wins_of_b > 0.85, "by plain points b looks far stronger"


def test_in_a_round_robin_the_surplus_is_the_difference_of_points() -> None:
    table = head_to_heads([("p0", "a", "b", 1.0), ("p0", "a", "c", 1.0), ("p0", "b", "c", 0.5)])
    table = pd.concat([table, table.assign(prompt_id="p1", outcome=0.5)], ignore_index=True)
    # at p0, a has 2 points and c has .5; at p1 both have 1
    assert surplus_per_prompt(table, "a", "c") == pytest.approx([1.5, 0.0], abs=1e-6)


def test_sign_flips_count_the_values_as_they_are() -> None:
    assert sign_flip_p(np.ones(30), 99, seed=0) == pytest.approx(0.01)
    assert sign_flip_p(np.array([1.0, -1.0]), 99, seed=0) == 1
    # compared with nothing a flip could reach, it would be the smallest p value of all
    with pytest.raises(ValueError, match="a p value needs finite values, got 1 of 3 that are not"):
        sign_flip_p(np.array([1.0, np.nan, 2.0]), 99, seed=0)


def test_a_separated_pair_needs_no_more_prompts() -> None:
    assert more_prompts(np.ones(10), p_value=0.049) == 0
    assert more_prompts(np.array([1.0, 1.0, 1.0]), p_value=0.25) == math.ceil(3 * (2.80158**2 / 3 - 1))


@pytest.mark.parametrize("seed", [0, 1])
def test_ratings_are_those_of_a_logistic_regression(seed: int) -> None:
    """scikit-learn on the same head-to-heads: one column a policy, +1 for A and -1 for B, half a row for each side."""
    policies = ["a", "b", "c", "d"]
    table = simulate({"a": 0, "b": 120, "c": -200, "d": 500}, 120, seed)
    table.loc[::4, "outcome"] = 0.5
    table.loc[1::9, "outcome"] = 0.3  # a share of several raters
    prior = [("prior", a, b, "harmlessness", 0.5) for i, a in enumerate(policies) for b in policies[i + 1 :]]
    games = pd.concat([table, pd.DataFrame(prior, columns=table.columns)], ignore_index=True)
    weight = np.where(games["prompt_id"] == "prior", PRIOR_TIES, 1.0)
    outcome = games["outcome"].to_numpy(dtype=float)
    design = np.stack(
        [(games["policy_a"] == name).astype(float) - (games["policy_b"] == name) for name in policies[1:]], axis=1
    )
    model = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=10_000)
    model.fit(
        np.concatenate([design, design]),
        np.repeat([1, 0], len(games)),
        sample_weight=np.concatenate([weight * outcome, weight * (1 - outcome)]),
    )
    theirs = model.coef_[0] * 400 / math.log(10)
    ours = elo_ratings(table, "a", 1, seed=0)
    assert [ours[name]["value"] for name in policies[1:]] == pytest.approx(theirs, abs=0.05)
