"""The preference model of an arm, and how often it agrees with comparisons that it has not seen."""

import logging

import pandas as pd

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.preference import preference_accuracy, train_preference_model
from cai_kedro.learning.processes import SharedParams
from cai_kedro.metrics.estimate import Estimate, bounded_mean
from cai_kedro.models.adapters import prepared
from cai_kedro.templates.rlhf.comparisons import held_out, kind_shares
from cai_kedro.templates.rlhf.parameters import ArmParams, GateParams, RLHFParams, parameters_of

logger = logging.getLogger(__name__)


def fit_preference_model(
    base: LanguageModel,
    comparisons: pd.DataFrame,
    shared: RLHFParams,
    arm: ArmParams,
    seed: int,
    weights: SharedParams,
) -> tuple[LanguageModel, pd.DataFrame]:
    """Train a preference model on the comparisons that are not held out (`comparisons` → model, `curves`; §4.1)."""
    params = parameters_of(arm, shared)
    training = comparisons[~held_out(comparisons, params.gate.held_out_share, seed)].reset_index(drop=True)
    return train_preference_model(prepared(base, weights, seed), training, params.preference, seed, weights.shared)


def measure_preference_model(
    preference_model: LanguageModel, comparisons: pd.DataFrame, shared: RLHFParams, arm: ArmParams, seed: int
) -> dict[str, Estimate]:
    """Return how often the model prefers the answer that the label prefers (`comparisons` → metrics).

    Measured on the held-out comparisons, those without a preferred answer left out: all together and per objective.
    Labels of raters who err bound the accuracy from above. Comparisons of one prompt are alike: intervals count
    prompts. `comparison_share.{arm}.{objective}.{kind}` says what kinds of pairs the arm's comparisons are. Raises
    `ValueError` where an objective cannot be measured and the gate is on.
    """
    gate = parameters_of(arm, shared).gate
    out = comparisons[held_out(comparisons, gate.held_out_share, seed)]
    tested = out[out["p_a_better"] != 0.5]  # noqa: PLR2004
    correct = pd.Series(preference_accuracy(preference_model, tested, gate.batch_size), index=tested.index).dropna()
    _check_tested(comparisons, out, tested.loc[correct.index], gate, arm)
    groups = {"all": correct, **dict(iter(correct.groupby(tested["objective"])))}
    metrics = {
        metric_name(arm, group): bounded_mean(right, 0, 1, list(tested["prompt_id"][right.index]))
        for group, right in groups.items()
    }
    logger.info("%s: %s", arm.name, ", ".join(f"{name} {found['value']:.3f}" for name, found in metrics.items()))
    shares = kind_shares(comparisons)
    return metrics | {f"comparison_share.{arm.name}.{name}": share for name, share in shares.items()}


def _check_tested(
    comparisons: pd.DataFrame, out: pd.DataFrame, tested: pd.DataFrame, gate: GateParams, arm: ArmParams
) -> None:
    """Raise `ValueError` where nothing of an objective is tested; warn if there is no gate and others are."""
    untested = sorted(set(comparisons["objective"]) - set(tested["objective"]))
    for objective in untested or ["any objective"] * tested.empty:
        labels = out["p_a_better"][out["objective"] == objective]
        if labels.empty:
            fault = (
                f"no comparison of the arm {arm.name!r} for {objective} is held out ({len(comparisons)} comparisons)"
            )
        elif (labels == 0.5).all():  # noqa: PLR2004
            fault = f"all {len(labels)} held-out labels of the arm {arm.name!r} for {objective} are ties, 0.5"
        else:
            fault = f"no held-out comparison of the arm {arm.name!r} for {objective} fits into the preference model"
        fault += (
            f", so its preference model cannot be tested: raise rlhf.gate.held_out_share ({gate.held_out_share}), or "
            f"give more comparisons that prefer one answer"
        )
        if gate.min_accuracy > 0 or tested.empty:
            raise ValueError(fault)
        logger.warning(fault)


def metric_name(arm: ArmParams, group: str) -> str:
    """Return the name under which an accuracy is stored: `pm_held_out_accuracy.rl_cai.harmlessness`."""
    return f"pm_held_out_accuracy.{arm.name}.{group}"
