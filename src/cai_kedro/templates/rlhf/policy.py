"""The policy of an arm: RL against its preference model, once that is good enough, against the labeller, or no RL."""

import logging

import pandas as pd

from cai_kedro.core.constitution import Constitution
from cai_kedro.core.gates import GateClosed
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.processes import SharedParams
from cai_kedro.learning.rl import Data, RLResult, train
from cai_kedro.metrics.estimate import Estimate
from cai_kedro.models.adapters import prepared
from cai_kedro.templates.rlhf.comparisons import held_out
from cai_kedro.templates.rlhf.judged import labeller_reward
from cai_kedro.templates.rlhf.parameters import ArmParams, GateParams, RLHFParams, parameters_of
from cai_kedro.templates.rlhf.preference import metric_name
from cai_kedro.templates.selection import choose

logger = logging.getLogger(__name__)


def gather_rl_prompts(
    red_team_prompts: pd.DataFrame, helpful_prompts: pd.DataFrame, shared: RLHFParams, arm: ArmParams, seed: int
) -> pd.DataFrame:
    """Put both kinds of prompts into one table (`prompts` ×2 → `prompts`; §4.2)."""
    limits = parameters_of(arm, shared).prompts
    return pd.concat(
        [
            choose(red_team_prompts, limits.red_team, seed, "rl"),
            choose(helpful_prompts, limits.helpful, seed, "rl"),
        ],
        ignore_index=True,
    )


def reinforce(
    start: LanguageModel,
    preference_model: LanguageModel,
    prompts: pd.DataFrame,
    preference_metrics: dict[str, Estimate],
    shared: RLHFParams,
    arm: ArmParams,
    seed: int,
    weights: SharedParams,
) -> tuple[dict[int, LanguageModel], pd.DataFrame]:
    """Train the start policy against the preference model (`prompts` → snapshots, `curves`; §4.2).

    Snapshots are keyed by the number of steps done; the last of them is the policy at the end.

    Raises `ValueError` before any training if the preference model is too often wrong.
    """
    params = parameters_of(arm, shared)
    check_gate(preference_metrics, params.gate, arm)
    data = Data(prompts=prompts, preference_model=preference_model)
    return _with_the_last(train(prepared(start, weights, seed), data, params.rl, seed, weights.shared))


def reinforce_by_labeller(
    start: LanguageModel,
    questions: pd.DataFrame,
    constitution: Constitution,
    labeller: TextEngine,
    shared: RLHFParams,
    arm: ArmParams,
    seed: int,
    weights: SharedParams,
) -> tuple[dict[int, LanguageModel], pd.DataFrame]:
    """Train the start policy against the labeller's judgement (`questions` → snapshots, `curves`; §4.2).

    A reply is compared with the reference to the same prompt (`judging/reward.py`). Snapshots are keyed as by
    `reinforce`.
    """
    params = parameters_of(arm, shared)
    reward = labeller_reward(questions, constitution, labeller, params.judge, seed)
    data = Data(prompts=questions[["prompt_id", "messages"]], reward=reward)
    return _with_the_last(train(prepared(start, weights, seed), data, params.rl, seed, weights.shared))


def learn_from_comparisons(
    start: LanguageModel,
    comparisons: pd.DataFrame,
    shared: RLHFParams,
    arm: ArmParams,
    seed: int,
    weights: SharedParams,
) -> tuple[dict[int, LanguageModel], pd.DataFrame]:
    """Train the start policy on the comparisons that are not held out (`comparisons` → snapshots, `curves`)."""
    params = parameters_of(arm, shared)
    training = comparisons[~held_out(comparisons, params.gate.held_out_share, seed)].reset_index(drop=True)
    return _with_the_last(
        train(prepared(start, weights, seed), Data(comparisons=training), params.rl, seed, weights.shared)
    )


def _with_the_last(result: RLResult) -> tuple[dict[int, LanguageModel], pd.DataFrame]:
    return {**result.snapshots, result.last: result.policy}, result.curves


def check_gate(preference_metrics: dict[str, Estimate], gate: GateParams, arm: ArmParams) -> None:
    """Raise `GateClosed` if the preference model is below the gate on any objective: RL on it makes the policy worse.

    A good model of one objective hides a bad one of another in their mean. The value itself decides, not its interval,
    which is as wide as the test is small: where it reaches below the gate, a warning says so.
    """
    start = metric_name(arm, "")
    for name, accuracy in preference_metrics.items():
        if not name.startswith(start):
            continue
        interval = "" if accuracy["low"] is None else f" [{accuracy['low']:.3f}, {accuracy['high']:.3f}]"
        found = (
            f"the preference model of {arm.name!r} agrees with {accuracy['value']:.3f}{interval} of {accuracy['n']} "
            f"held-out comparisons for {name.removeprefix(start)}"
        )
        if accuracy["value"] < gate.min_accuracy:
            raise GateClosed(
                f"{found}, RL needs {gate.min_accuracy:.3f} on each objective: look at their labels, give more or "
                f"cleaner comparisons, train longer, or lower rlhf.gate.min_accuracy"
            )
        if (accuracy["low"] or 0.0) < gate.min_accuracy:
            logger.warning("%s: above the gate of %.3f, but its interval is not", found, gate.min_accuracy)
