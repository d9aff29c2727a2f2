"""Rewards have their own zero and unit, and cost something without an end."""

import pytest
import torch

from cai_kedro.learning.rewards import ScoreUnits, reply_rewards
from tests.learning.rl.test_ppo import settings


def test_the_unit_is_the_spread_and_the_zero_the_mean_of_the_start() -> None:
    scores = torch.tensor([1.0, 3.0, 5.0, 7.0])
    # deviations -3, -1, 1, 3: the mean of the squares is 5
    assert ScoreUnits.of(scores, settings(scale_rewards=True)) == ScoreUnits(4.0, pytest.approx(5**0.5))
    assert ScoreUnits.of(scores, settings(scale_rewards=False, center_scores=False)) == ScoreUnits(0.0, 1.0)


def test_scores_that_are_all_equal_are_not_scaled() -> None:
    assert ScoreUnits.of(torch.full((3,), 0.7), settings(scale_rewards=True)).scale == 1.0


def test_a_reward_is_in_units_and_the_penalty_is_not_scaled() -> None:
    rewards = reply_rewards(torch.tensor([4.0, 4.0]), torch.tensor([True, False]), ScoreUnits(1.0, 2.0), 0.5)
    assert rewards.tolist() == [1.5, 1.0]
