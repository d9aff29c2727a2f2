"""Which policy along an RL run is kept: more training against a preference model is not always better (§4.3)."""

import logging
from collections.abc import Mapping

import pandas as pd

from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.snapshots import snapshot_signals
from cai_kedro.metrics.collapse import CollapseLimits, collapse_sentence
from cai_kedro.metrics.over_optimisation import Limits, choose_snapshot, is_untrained
from cai_kedro.templates.rlhf.parameters import ArmParams, RLHFParams, SnapshotParams, parameters_of
from cai_kedro.templates.selection import choose

logger = logging.getLogger(__name__)


def measure_snapshots(
    start: LanguageModel,
    snapshots: Mapping[int, LanguageModel],
    preference_model: LanguageModel,
    prompts: pd.DataFrame,
    shared: RLHFParams,
    arm: ArmParams,
    seed: int,
) -> pd.DataFrame:
    """Have the start policy and every snapshot answer some prompts of RL (`prompts` → `signals`)."""
    return _signals(start, snapshots, preference_model, prompts, shared, arm, seed)


def measure_unscored_snapshots(
    start: LanguageModel,
    snapshots: Mapping[int, LanguageModel],
    prompts: pd.DataFrame,
    shared: RLHFParams,
    arm: ArmParams,
    seed: int,
) -> pd.DataFrame:
    """Do the same where no preference model is: there is no score (`prompts` → `signals`)."""
    return _signals(start, snapshots, None, prompts, shared, arm, seed)


def _signals(
    start: LanguageModel,
    snapshots: Mapping[int, LanguageModel],
    preference_model: LanguageModel | None,
    prompts: pd.DataFrame,
    shared: RLHFParams,
    arm: ArmParams,
    seed: int,
) -> pd.DataFrame:
    params = parameters_of(arm, shared)
    asked = choose(prompts, params.snapshots.prompts, seed, "snapshots")
    return snapshot_signals(start, snapshots, preference_model, asked, params.rl, derive_seed(seed, arm.name))


def keep_snapshot(
    start: LanguageModel,
    snapshots: Mapping[int, LanguageModel],
    signals: pd.DataFrame,
    shared: RLHFParams,
    arm: ArmParams,
    seed: int,
) -> tuple[LanguageModel, pd.DataFrame]:
    """Return the snapshot to go on with, and what was known of each (`signals` → policy, choice).

    Decided by the preference model's score, if there is one, and limits on drift, collapse and evasion; no judge is
    asked. The start policy, step 0, is one of them, and the only one where the gate was closed. What has collapsed is
    told.
    """
    params = parameters_of(arm, shared).snapshots
    choice = choose_snapshot(signals, _limits(params), params.n_bootstrap, seed)
    if is_untrained(choice):
        return start, choice
    if params.keep == "last":
        last = choice["step"] == choice["step"].max()
        why = "kept: rlhf.snapshots.keep is last" + ("; " + choice["why"]).where(choice["collapsed"], "")
        choice = choice.assign(kept=last, why=choice["why"].where(~last, why))
    (kept,) = choice[choice["kept"]].itertuples()
    logger.info("%s: the policy after step %d of %d; %s", arm.name, kept.step, choice["step"].max(), kept.why)
    if collapse := collapse_sentence(arm.name, choice):
        logger.warning("%s", collapse)
    if kept.step == 0:
        logger.warning("%s: training brought no clearly better policy, so the start policy is kept as it was", arm.name)
        return start, choice
    return snapshots[kept.step], choice


def _limits(params: SnapshotParams) -> Limits:
    collapse = CollapseLimits(params.max_repeated_rise, params.max_alike_rise, params.min_length, params.max_length)
    return Limits(params.max_kl, params.min_eos_rate, params.min_distinct, params.max_evasive_rise, collapse)
