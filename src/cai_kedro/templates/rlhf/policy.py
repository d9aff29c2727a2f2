"""The policy of an arm: RL against its preference model, once that is good enough."""

import pandas as pd

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.rl import train_policy
from cai_kedro.metrics.estimate import Estimate
from cai_kedro.templates.rlhf.parameters import ArmParams, GateParams, RLHFParams, parameters_of
from cai_kedro.templates.rlhf.preference import metric_name
from cai_kedro.templates.selection import choose


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
) -> tuple[dict[int, LanguageModel], pd.DataFrame]:
    """Train the start policy against the preference model (`prompts` → snapshots, `curves`; §4.2).

    Snapshots are keyed by the number of rollouts done; the last of them is the policy at the end.

    Raises `ValueError` before any training if the preference model is too often wrong.
    """
    params = parameters_of(arm, shared)
    check_gate(preference_metrics, params.gate, arm)
    rl = params.rl
    if rl.checkpoint_dir is not None:  # arms must not resume from each other
        rl = rl.model_copy(update={"checkpoint_dir": f"{rl.checkpoint_dir}/{arm.name}"})
    result = train_policy(start, preference_model, prompts, rl, seed)
    return {**result.snapshots, rl.rollouts: result.policy}, result.curves


def check_gate(preference_metrics: dict[str, Estimate], gate: GateParams, arm: ArmParams) -> None:
    """Raise `ValueError` if the preference model is below the gate: RL on a poor one makes the policy worse."""
    accuracy = preference_metrics[metric_name(arm, "all")]
    if accuracy["value"] < gate.min_accuracy:
        raise ValueError(
            f"the preference model of {arm.name!r} agrees with {accuracy['value']:.3f} of {accuracy['n']} held-out "
            f"comparisons, RL needs {gate.min_accuracy:.3f}: look at {arm.name}.preference_metrics by objective, give "
            f"more or cleaner comparisons, train longer, or lower rlhf.gate.min_accuracy"
        )
