"""How the learning rate of RL rises and falls, and that a run that goes on has the rates that it would have had."""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from transformers import TrainerCallback
from transformers.trainer_callback import DefaultFlowCallback

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.checkpoints import run_fingerprint
from cai_kedro.learning.rl.ppo import PPOParams, train_ppo
from cai_kedro.learning.rl.ppo_math import lr_factor
from cai_kedro.learning.rl.trl_trainers import train_with_trl
from cai_kedro.learning.rl_params import RLResult
from cai_kedro.learning.rollouts import EncodedPrompts
from tests.learning.rl.test_ppo import (
    Score,
    assert_same,
    by_sum,
    copies,
    encoded,
    folder,
    scorer,
    settings,
    settings_of,
)

ALGORITHMS = ("ppo", "rloo", "grpo")
#: Of `settings`: 2 passes over 8 replies in minibatches of 4.
A_ROLLOUT = 4


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """The learning rates of each step, as the optimiser has them: one for each of its groups."""
    seen: list[list[float]] = []

    def note(callback: TrainerCallback, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        seen.append([group["lr"] for group in kwargs["optimizer"].param_groups])

    monkeypatch.setattr(DefaultFlowCallback, "on_step_begin", note)
    return seen


def train(algorithm: str, lm: LanguageModel, run_dir: Path | None, score: Score = by_sum, **changed: Any) -> RLResult:
    params: Any = settings_of(algorithm, **{"rollouts": 3, "snapshot_every": 1, "warmup_rollouts": 1} | changed)
    by = train_ppo if isinstance(params, PPOParams) else train_with_trl
    return by(lm, scorer(score), encoded(lm), params, 5, run_dir and folder(run_dir))


def test_the_factor_rises_over_the_warm_up_and_falls_to_the_last_step() -> None:
    factors = [lr_factor(step, warmup=4, steps=12, min_rate=0.2) for step in range(12)]
    assert factors[:4] == [0.25, 0.5, 0.75, 1.0]
    assert factors[4:] == pytest.approx([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    assert lr_factor(12, warmup=4, steps=12, min_rate=0.2) == factors[-1]  # the schedule steps once more at the end
    assert [lr_factor(step, 0, 4, 0.0) for step in range(4)] == [0.75, 0.5, 0.25, 0.0]


@pytest.mark.parametrize("warmup", [0, 1, 7, 12, 20])
def test_at_1_the_factor_is_the_warm_up_alone(warmup: int) -> None:
    factors = [lr_factor(step, warmup, 12, 1.0) for step in range(14)]
    assert factors == [min(1.0, (step + 1) / max(1, warmup)) for step in range(14)]  # to the last bit


@pytest.mark.parametrize("warmup", [12, 20])
def test_a_warm_up_to_the_end_leaves_nothing_to_fall(warmup: int) -> None:
    assert [lr_factor(step, warmup, 12, 0.1) for step in range(12)] == [(step + 1) / warmup for step in range(12)]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_rate_falls_to_its_share_at_the_last_rollout(
    algorithm: str, tiny_lm: LanguageModel, rates: list[list[float]]
) -> None:
    train(algorithm, tiny_lm, None, min_lr_rate=0.25)
    policy = [groups[0] for groups in rates]
    assert len(policy) == 3 * A_ROLLOUT
    falls = [after - before for before, after in itertools.pairwise(policy[A_ROLLOUT:])]
    assert falls == pytest.approx([-3e-3 * 0.75 / (2 * A_ROLLOUT)] * len(falls), abs=1e-12)
    if algorithm == "ppo":
        assert policy[A_ROLLOUT - 1] == 3e-3
        assert policy[-1] == pytest.approx(3e-3 * 0.25)
        value = [groups[1] for groups in rates]
        assert value == pytest.approx([rate * 10 / 3 for rate in policy])  # the value head's rate has the same course
    else:  # the schedules of transformers begin at 0, and are a step behind
        assert policy[0] == 0.0
        assert policy[A_ROLLOUT] == 3e-3
        assert policy[-1] + falls[-1] == pytest.approx(3e-3 * 0.25)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_by_default_it_stays(algorithm: str, tiny_lm: LanguageModel, rates: list[list[float]]) -> None:
    train(algorithm, tiny_lm, None, rollouts=2)
    policy = [groups[0] for groups in rates]
    assert policy == sorted(policy)
    assert policy[A_ROLLOUT:] == [3e-3] * A_ROLLOUT


def test_where_the_warm_up_is_all_transformers_has_nothing_to_divide_by(
    tiny_lm: LanguageModel, rates: list[list[float]]
) -> None:
    train("rloo", tiny_lm, None, rollouts=2, warmup_rollouts=2, min_lr_rate=0.1)
    assert [groups[0] for groups in rates] == pytest.approx([3e-3 * step / 8 for step in range(8)])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_run_that_goes_on_has_the_rates_of_one_that_was_not_interrupted(
    algorithm: str, tiny_lm: LanguageModel, tmp_path: Path, rates: list[list[float]]
) -> None:
    first, second, third = copies(tiny_lm, 3)
    straight = train(algorithm, first, None, min_lr_rate=0.0)
    wanted = [*rates]
    calls = 0

    def fails_at_the_third(prompts: EncodedPrompts, replies: Sequence[list[int]]) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return by_sum(prompts, replies)

    with pytest.raises(KeyboardInterrupt):
        train(algorithm, second, tmp_path, fails_at_the_third, min_lr_rate=0.0)
    rates.clear()
    torch.manual_seed(99)  # nothing may hang on the global generator
    assert_same(train(algorithm, third, tmp_path, min_lr_rate=0.0), straight)
    assert rates == wanted[2 * A_ROLLOUT :]


def test_a_longer_run_goes_on_from_a_shorter_one_where_the_rate_stays_alone(tiny_lm: LanguageModel) -> None:
    def fingerprint(**changed: Any) -> str:
        return run_fingerprint("PPO", settings(**changed), [tiny_lm], [], 1)

    assert fingerprint(rollouts=4) == fingerprint(rollouts=5)
    assert fingerprint(rollouts=4, min_lr_rate=0.5) != fingerprint(rollouts=5, min_lr_rate=0.5)
    assert fingerprint(rollouts=4, min_lr_rate=0.5) != fingerprint(rollouts=4, min_lr_rate=0.4)


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_a_rate_is_a_share(rate: float) -> None:
    with pytest.raises(ValidationError, match="min_lr_rate"):
        settings(min_lr_rate=rate)
