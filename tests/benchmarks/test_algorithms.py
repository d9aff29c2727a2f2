"""The episodes a second of the algorithms are measured on what `conf/base` has, and beyond the first rollout."""

import pytest
from benchmarks.algorithms import measured, prompts_of, say, settings

from cai_kedro.learning.rl.ppo import PPOParams
from cai_kedro.learning.rl.rloo_grpo import RLOOParams


def test_all_learn_from_as_many_episodes() -> None:
    ours, theirs = settings(PPOParams, 2), settings(RLOOParams, 2)
    assert ours.episodes == theirs.episodes == 128
    assert (ours.rollouts, ours.minibatch_size, ours.ppo_epochs) == (2, theirs.minibatch_size, theirs.ppo_epochs)
    assert list(prompts_of(3)["prompt_id"]) == ["0", "1", "2"]
    assert prompts_of(3)["messages"].str.len().min() > 0


def test_what_a_training_costs_before_its_first_rollout_does_not_count(capsys: pytest.CaptureFixture[str]) -> None:
    ways = {"ours": lambda rollouts: 5.0 + 2.0 * rollouts, "theirs": lambda rollouts: 90.0 + 3.0 * rollouts}
    seconds = measured(ways, rollouts=4, repeats=2)
    assert seconds == {"ours": [8.0, 8.0], "theirs": [12.0, 12.0]}
    say(seconds, episodes=512)
    assert (
        "theirs: 42.7 episodes a second of CPU, 12.0 s for 512; ours is 1.50 times as fast" in capsys.readouterr().out
    )
