"""The preference model of an arm, and how often it agrees with comparisons that it has not seen."""

import logging

import pandas as pd

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.preference import preference_accuracy, train_preference_model
from cai_kedro.metrics.estimate import Estimate, bounded_mean
from cai_kedro.templates.rlhf.comparisons import held_out
from cai_kedro.templates.rlhf.parameters import ArmParams, RLHFParams, parameters_of

logger = logging.getLogger(__name__)


def fit_preference_model(
    base: LanguageModel, comparisons: pd.DataFrame, shared: RLHFParams, arm: ArmParams, seed: int
) -> tuple[LanguageModel, pd.DataFrame]:
    """Train a preference model on the comparisons that are not held out (`comparisons` → model, `curves`; §4.1)."""
    params = parameters_of(arm, shared)
    training = comparisons[~held_out(comparisons, params.gate.held_out_share, seed)].reset_index(drop=True)
    return train_preference_model(base, training, params.preference, seed)


def measure_preference_model(
    preference_model: LanguageModel, comparisons: pd.DataFrame, shared: RLHFParams, arm: ArmParams, seed: int
) -> dict[str, Estimate]:
    """Return how often the model prefers the answer that the label prefers (`comparisons` → metrics).

    Measured on the held-out comparisons, those without a preferred answer left out: all together and per objective.
    Labels of raters who err bound the accuracy from above. Comparisons of one prompt are
    alike: intervals count prompts.
    """
    gate = parameters_of(arm, shared).gate
    tested = comparisons[held_out(comparisons, gate.held_out_share, seed) & (comparisons["p_a_better"] != 0.5)]  # noqa: PLR2004
    if tested.empty:
        raise ValueError(
            f"no comparison of the arm {arm.name!r} is held out ({len(comparisons)} comparisons, "
            f"{gate.held_out_share=}): raise the share or give more comparisons"
        )
    correct = pd.Series(preference_accuracy(preference_model, tested, gate.batch_size), index=tested.index).dropna()
    groups = {"all": correct, **dict(iter(correct.groupby(tested["objective"])))}
    metrics = {
        metric_name(arm, group): bounded_mean(right, 0, 1, list(tested["prompt_id"][right.index]))
        for group, right in groups.items()
    }
    logger.info("%s: %s", arm.name, ", ".join(f"{name} {found['value']:.3f}" for name, found in metrics.items()))
    return metrics


def metric_name(arm: ArmParams, group: str) -> str:
    """Return the name under which an accuracy is stored: `pm_held_out_accuracy.rl_cai.harmlessness`."""
    return f"pm_held_out_accuracy.{arm.name}.{group}"
