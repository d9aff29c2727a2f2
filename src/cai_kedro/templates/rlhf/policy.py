"""The policy of an arm: RL against its preference model, if that is good enough, against the labeller, or no RL."""

import logging

import pandas as pd

from cai_kedro.core.constitution import Constitution
from cai_kedro.core.schemas import empty_table
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

    Snapshots are keyed by the number of steps done; the last of them is the policy at the end. Where the preference
    model is too often wrong there is no training: no snapshots, no curves, and a warning.
    """
    params = parameters_of(arm, shared)
    if not passes_gate(preference_metrics, params.gate, arm):
        return {}, empty_table("curves")
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


def passes_gate(preference_metrics: dict[str, Estimate], gate: GateParams, arm: ArmParams) -> bool:
    """Tell whether the preference model is good enough on each objective: RL on a poor one makes the policy worse.

    A good model of one objective hides a bad one of another in their mean. The value itself decides, not its interval,
    which is as wide as the test is small. One warning says what is below the gate, else what reaches below it.
    """
    start = metric_name(arm, "")
    accuracies = {
        name.removeprefix(start): figure for name, figure in preference_metrics.items() if name.startswith(start)
    }
    closed = {name: figure for name, figure in accuracies.items() if figure["value"] < gate.min_accuracy}
    unsure = {name: figure for name, figure in accuracies.items() if (figure["low"] or 0.0) < gate.min_accuracy}
    if closed:
        logger.warning(
            "no RL for %s, its start policy is kept: %s; RL needs %.3f on each objective. Look at their labels, give "
            "more or cleaner comparisons, train longer, or lower rlhf.gate.min_accuracy",
            arm.name,
            _agreement(arm, closed),
            gate.min_accuracy,
        )
    elif unsure:
        logger.warning(
            "%s: above the gate of %.3f, but not the whole interval", _agreement(arm, unsure), gate.min_accuracy
        )
    return not closed


def _agreement(arm: ArmParams, accuracies: dict[str, Estimate]) -> str:
    parts = []
    for name, accuracy in accuracies.items():
        interval = "" if accuracy["low"] is None else f" [{accuracy['low']:.3f}, {accuracy['high']:.3f}]"
        parts.append(f"{accuracy['value']:.3f}{interval} of {accuracy['n']} for {name}")
    return f"the preference model of {arm.name!r} agrees with held-out comparisons in {', '.join(parts)}"
