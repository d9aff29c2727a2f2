import math
import time
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from cai_kedro.core.schemas import check_table
from cai_kedro.metrics import bradley_terry
from cai_kedro.metrics.bradley_terry import PRIOR_TIES, elo_gap, elo_ratings, linked_policies

Played = list[tuple[str, str, str, float]]


def head_to_heads(played: Played, criterion: str = "harmlessness") -> pd.DataFrame:
    table = pd.DataFrame(played, columns=["prompt_id", "policy_a", "policy_b", "outcome"])
    return check_table("head_to_heads", table.assign(criterion=criterion))


def simulate(strengths: dict[str, float], prompts: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        (f"p{i}", a, b, float(rng.random() < 1 / (1 + 10 ** ((strengths[b] - strengths[a]) / 400))))
        for i in range(prompts)
        for a, b in combinations(strengths, 2)
    ]
    return head_to_heads(rows)


def minorise_maximise(table: pd.DataFrame, policies: list[str]) -> NDArray[np.float64]:
    """Fit Bradley-Terry in ten lines of its own (Hunter 2004), with the same extra ties; Elo above the first policy."""
    index = {policy: i for i, policy in enumerate(policies)}
    wins = np.full((len(policies), len(policies)), PRIOR_TIES / 2)
    np.fill_diagonal(wins, 0)
    for row in table.itertuples():
        wins[index[row.policy_a], index[row.policy_b]] += row.outcome
        wins[index[row.policy_b], index[row.policy_a]] += 1 - row.outcome
    strength = np.ones(len(policies))
    for _ in range(5000):
        strength = wins.sum(1) / ((wins + wins.T) / (strength[:, None] + strength[None, :])).sum(1)
        strength /= strength.sum()
    return 400 * np.log10(strength / strength[0])


def test_three_wins_in_four_are_190_85_elo() -> None:
    assert elo_gap(0.75) == pytest.approx(190.85, abs=0.01)
    assert elo_gap(0.5) == 0
    assert elo_gap(10 / 11) == pytest.approx(400)
    assert elo_gap(0.2) == pytest.approx(-elo_gap(0.8))


@pytest.mark.parametrize("win_rate", [0.0, 1.0, -0.1, 1.2])
def test_a_certain_win_has_no_finite_gap(win_rate: float) -> None:
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        elo_gap(win_rate)


def test_two_policies_get_the_gap_of_their_win_rate_with_one_tie_added() -> None:
    table = head_to_heads([(f"p{i}", "good", "bad", float(i < 75)) for i in range(100)])
    ratings = elo_ratings(table, "bad", 200, seed=0)
    assert ratings["bad"] == {"value": 0.0, "low": None, "high": None, "n": 100}
    assert ratings["good"]["value"] == pytest.approx(400 * math.log10(75.5 / 25.5), abs=1e-3)
    assert ratings["good"]["n"] == 100
    # the standard error of log-odds .75 / .25 is 1 / sqrt(100 * .1875) = .231, so 1.96 of it are 78.6 Elo
    width = ratings["good"]["high"] - ratings["good"]["low"]  # type: ignore[operator]
    assert width == pytest.approx(2 * 78.6, rel=0.2)


def test_ties_count_half_and_sides_do_not_matter() -> None:
    tied = head_to_heads([("p0", "a", "b", 1.0), ("p1", "a", "b", 0.5), ("p2", "a", "b", 0.5), ("p3", "a", "b", 0.0)])
    assert elo_ratings(tied, "b", 50, seed=0)["a"]["value"] == pytest.approx(0, abs=1e-6)
    one_way = head_to_heads([("p0", "a", "b", 1.0), ("p1", "a", "b", 0.5)])
    other_way = head_to_heads([("p0", "b", "a", 0.0), ("p1", "b", "a", 0.5)])
    assert elo_ratings(one_way, "b", 50, seed=0) == elo_ratings(other_way, "b", 50, seed=0)
    assert elo_ratings(one_way, "b", 50, seed=0)["a"]["value"] == pytest.approx(
        400 * math.log10(2 / 1)
    )  # 1.5 + .5 to .5 + .5


def test_known_strengths_come_back() -> None:
    strengths = {"helpful": 0.0, "pretrained": 150.0, "sl": 400.0, "rl": 600.0}
    ratings = elo_ratings(simulate(strengths, 2000), "helpful", 200, seed=0)
    for policy, strength in strengths.items():
        assert ratings[policy]["value"] == pytest.approx(strength, abs=30)
    assert (
        ratings["helpful"]["value"] < ratings["pretrained"]["value"] < ratings["sl"]["value"] < ratings["rl"]["value"]
    )


def test_the_solver_agrees_with_one_of_ten_lines() -> None:
    policies = ["a", "b", "c", "d"]
    table = simulate({"a": 0, "b": 120, "c": -200, "d": 700}, 150, seed=4)
    table.loc[::5, "outcome"] = 0.5
    ours = elo_ratings(table, "a", 1, seed=0)
    assert [ours[policy]["value"] for policy in policies] == pytest.approx(minorise_maximise(table, policies), abs=1e-3)


def test_a_policy_that_never_lost_is_strong_but_finite() -> None:
    table = head_to_heads([(f"p{i}", "a", "b", 1.0) for i in range(100)])
    ratings = elo_ratings(table, "b", 50, seed=0)
    assert ratings["a"]["value"] == pytest.approx(400 * math.log10(100.5 / 0.5), abs=1e-3)
    assert elo_ratings(table, "a", 50, seed=0)["b"]["value"] == pytest.approx(-ratings["a"]["value"])


@pytest.mark.parametrize("won", [1.0, 0.0])
def test_fifty_wins_of_fifty_have_the_interval_of_jeffreys_prior(won: float) -> None:
    table = head_to_heads([(f"p{i}", "a", "b", won) for i in range(50)])
    rating = elo_ratings(table, "b", 2000, seed=0)["a"]
    assert rating["low"] is not None
    assert rating["high"] is not None
    # the nearer end does not depend on how small the smallest draws are: logit of the 2.5 % quantile of Beta(50.5, .5)
    nearer = min(abs(rating["low"]), abs(rating["high"]))
    share = float(stats.beta.ppf(0.025, 50.5, 0.5))
    assert nearer == pytest.approx(400 * math.log10(share / (1 - share)), rel=0.03)
    assert rating["high"] - rating["low"] > 800
    assert elo_ratings(table, "b", 2000, seed=0)["b"]["low"] is None  # the reference, by its name


@pytest.mark.parametrize("share", [0.5, 0.9, 0.98])
def test_the_interval_of_a_gap_covers_the_truth_for_even_and_for_one_sided_policies(share: float) -> None:
    """Bounds of `elo_ratings` for two policies, from the same draws that it makes: 2,000 runs of 200 prompts each."""
    rng = np.random.default_rng(0)
    wins = rng.binomial(200, share, size=2000)
    intervals = {}
    for won in set(wins):
        points = np.zeros((200, 4))
        points[:won, 1], points[won:, 2] = 1, 1
        cells = bradley_terry._weighed(points, np.array([0, 0.5, 0.5, 0]), 1000, seed=int(won))
        intervals[won] = np.quantile(np.log(cells[:, 1] / cells[:, 2]), [0.025, 0.975])
    truth = math.log(share / (1 - share))
    covered = np.mean([intervals[won][0] <= truth <= intervals[won][1] for won in wins])
    assert 0.93 <= covered <= 0.97


def test_policies_that_no_chain_links_to_the_reference_are_known() -> None:
    apart = head_to_heads([("p0", "a", "b", 1.0), ("p1", "c", "d", 1.0), ("p2", "b", "e", 0.0)])
    assert linked_policies(apart, "a") == ["a", "b", "e"]
    assert linked_policies(apart, "d") == ["c", "d"]
    assert linked_policies(apart, "z") == []


def test_pairs_that_never_met_are_rated_through_others() -> None:
    rows: Played = [(f"p{i}", "a", "b", float(i % 4 > 0)) for i in range(100)]
    rows += [(f"p{i}", "b", "c", float(i % 4 > 0)) for i in range(100)]
    ratings = elo_ratings(head_to_heads(rows), "c", 20, seed=0)
    assert ratings["a"]["value"] == pytest.approx(2 * ratings["b"]["value"], abs=1e-3)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(40):
        table = simulate({"a": 0, "b": 200, "c": 100}, 80, seed)
        estimate = elo_ratings(table, "a", 100, seed)["b"]
        covered += estimate["low"] <= 200 <= estimate["high"]  # type: ignore[operator]
    assert 33 <= covered <= 40


def test_whole_prompts_are_resampled() -> None:
    # ten copies of each prompt's verdict tell nothing new, so the interval must not shrink
    rng = np.random.default_rng(1)
    won = rng.random(60) < 0.7
    once = head_to_heads([(f"p{i}", "a", "b", float(won[i])) for i in range(60)])
    often = pd.concat([once] * 10, ignore_index=True)
    widths = [
        estimate["high"] - estimate["low"]  # type: ignore[operator]
        for estimate in (elo_ratings(table, "b", 400, seed=0)["a"] for table in (once, often))
    ]
    assert widths[1] == pytest.approx(widths[0], rel=0.15)


def test_the_order_of_the_rows_changes_nothing() -> None:
    table = simulate({"a": 0, "b": 100, "c": 300}, 40)
    assert elo_ratings(table, "a", 50, seed=7) == elo_ratings(table.sample(frac=1, random_state=1), "a", 50, seed=7)


def test_six_policies_and_500_resamples_take_seconds() -> None:
    table = simulate({name: 120.0 * i for i, name in enumerate("abcdef")}, 250)
    start = time.process_time()
    elo_ratings(table, "a", 500, seed=0)
    assert time.process_time() - start < 5


def test_what_cannot_be_rated_is_refused() -> None:
    table = head_to_heads([("p0", "a", "b", 1.0)])
    with pytest.raises(ValueError, match="reference policy 'z' has no head-to-head; those that have: \\['a', 'b'\\]"):
        elo_ratings(table, "z", 10, seed=0)
    with pytest.raises(ValueError, match="one criterion, got 2"):
        elo_ratings(pd.concat([table, table.assign(criterion="helpfulness")]), "a", 10, seed=0)
    with pytest.raises(ValueError, match="one criterion, got 0"):
        elo_ratings(table[:0], "a", 10, seed=0)
    with pytest.raises(ValueError, match="a policy against itself"):
        elo_ratings(table.assign(policy_b="a"), "a", 10, seed=0)
    with pytest.raises(ValueError, match="an outcome must be"):
        elo_ratings(table.assign(outcome=2.0), "a", 10, seed=0)
    apart = head_to_heads([("p0", "a", "b", 1.0), ("p0", "c", "d", 1.0)])
    with pytest.raises(ValueError, match="links \\['c', 'd'\\] to the reference policy 'a'"):
        elo_ratings(apart, "a", 10, seed=0)


def test_chains_of_policies_that_won_all_are_rated() -> None:
    won = [(f"p{i}", a, b, 1.0) for i in range(50) for a, b in (("better", "good"), ("good", "reference"))]
    ratings = elo_ratings(head_to_heads(won), "reference", 1000, 1)  # some resamples are nearly without a tie
    low, high = ratings["good"]["low"], ratings["better"]["high"]
    assert low is not None
    assert high is not None
    assert 400 < low < ratings["good"]["value"] == pytest.approx(elo_gap(50.5 / 51))
    assert ratings["better"]["value"] == pytest.approx(2 * elo_gap(50.5 / 51), abs=1e-3)
    assert ratings["better"]["value"] < high < 6000


def test_newtons_method_agrees_with_the_iteration() -> None:
    points = np.random.default_rng(0).uniform(1, 9, (4, 4)) * (1 - np.eye(4))
    nats = bradley_terry._fit_far_apart(points)
    assert bradley_terry._fit(points.ravel(), 0) == pytest.approx(
        bradley_terry.ELO_PER_NAT * (nats - nats[0]), abs=1e-5
    )


def test_a_fit_that_does_not_converge_is_no_rating(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bradley_terry, "_MAX_ITERATIONS", 1)
    monkeypatch.setattr(bradley_terry, "_MAX_STEPS", 1)
    with pytest.raises(RuntimeError, match="did not converge"):
        elo_ratings(simulate({"a": 0, "b": 300, "c": -100}, 20), "a", 1, seed=0)
