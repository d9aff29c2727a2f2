"""A few rows of every stage that trains, timed."""

import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.preference import train_preference_model
from cai_kedro.learning.rl import Data, train
from cai_kedro.learning.sft import fine_tune
from cai_kedro.metrics.estimate import mean
from cai_kedro.metrics.workload import Cost
from cai_kedro.models.adapters import prepared
from cai_kedro.planning.inputs import Settings
from cai_kedro.templates.rlhf.parameters import ArmSettings

_SMALL, _LARGE = 1, 4  # batches; the difference of their times is free of what a training needs to begin


def training_costs(
    settings: Settings,
    pairs: pd.DataFrame,
    prompts: pd.DataFrame,
    load: Callable[[], LanguageModel],
    repeats: int,
    told: Callable[[str], None],
) -> dict[str, Cost]:
    """Return the cost of a row of fine-tuning, and of what the arms learn from: comparisons and episodes of RL.

    `pairs` are repeated to fill batches, `load` gives a fresh pretrained model, which is trained in place.
    """
    told("timing the trainings")

    def fresh() -> LanguageModel:
        return prepared(load(), settings.weights, settings.seed)

    scored, judged, direct = (
        next(iter(settings.learning_from(what).values()), None) for what in ("preference_model", "judge", "comparisons")
    )
    seconds = {"fine_tuning": [_fine_tuning(settings, pairs, fresh) for _ in range(repeats)]}
    if scored is not None:
        seconds["preference_models"] = [_preference(scored, pairs, fresh, settings.seed) for _ in range(repeats)]
        params = scored.preference.model_copy(update={"batch_size": 1, "epochs": 1, "checkpoints": None})
        preference_model, _ = train_preference_model(fresh(), comparisons_of(pairs, 1), params, settings.seed)
        data = Data(prompts=prompts, preference_model=preference_model)
        seconds["rl"] = _episodes(scored, data, len(pairs), fresh, settings.seed, repeats)
    elif judged is not None:  # what the labeller reads is a stage of its own
        data = Data(prompts=prompts, reward=_Unread())
        seconds["rl"] = _episodes(judged, data, len(pairs), fresh, settings.seed, repeats)
    if direct is not None:
        seconds["direct_preference"] = [_direct(direct, pairs, fresh, settings.seed) for _ in range(repeats)]
    return {stage: cost_of_training(found) for stage, found in seconds.items()}


def cost_of_training(seconds: Sequence[float]) -> Cost:
    """Return the cost of a row that is learnt from: time alone, from the seconds of a row in some trials."""
    return Cost(
        calls=0, prompt_tokens=0, shared_tokens=0, written_tokens=0, seconds=mean(list(seconds)), stored_bytes=0
    )


def _fine_tuning(settings: Settings, pairs: pd.DataFrame, load: Callable[[], LanguageModel]) -> float:
    size = min(settings.fine_tuning.batch_size, len(pairs))
    params = settings.fine_tuning.model_copy(update={"batch_size": size, "epochs": 1, "checkpoints": None})

    def train(rows: int) -> None:
        table = _repeated(pairs, rows).rename(columns={"pair_id": "row_id", "response_a": "response"})
        table = table.drop(columns=["response_b", "kind"]).assign(source="revision", step=1)
        fine_tune(load(), table, params, settings.seed)

    return seconds_a_row(train, size)


def _preference(arm: ArmSettings, pairs: pd.DataFrame, load: Callable[[], LanguageModel], seed: int) -> float:
    size = min(arm.preference.batch_size, len(pairs))
    params = arm.preference.model_copy(update={"batch_size": size, "epochs": 1, "checkpoints": None})
    return seconds_a_row(lambda rows: train_preference_model(load(), comparisons_of(pairs, rows), params, seed), size)


class _Unread:
    """Rewards by length, so that a training can be timed without the time of who reads replies."""

    fingerprint = "unread"

    def score(self, prompt_ids: Sequence[str], replies: Sequence[str]) -> NDArray[np.float64]:
        return np.array([float(len(reply)) for reply in replies])


def _episodes(
    arm: ArmSettings, data: Data, rows: int, load: Callable[[], LanguageModel], seed: int, repeats: int
) -> list[float]:
    """Return the seconds of an episode, in each of some trials of one rollout on at most so many prompts."""
    one, policy, seconds = arm.rl.small(rows), load(), []
    for repeat in range(repeats):
        began = time.perf_counter()
        train(policy, data, one, seed + repeat)
        seconds.append((time.perf_counter() - began) / one.rows_a_step)
    return seconds


def _direct(arm: ArmSettings, pairs: pd.DataFrame, load: Callable[[], LanguageModel], seed: int) -> float:
    """Return the seconds of a comparison that a policy reads itself."""
    params = arm.rl.small(len(pairs))
    return seconds_a_row(
        lambda rows: train(load(), Data(comparisons=comparisons_of(pairs, rows)), params, seed), params.rows_a_step
    )


def comparisons_of(pairs: pd.DataFrame, rows: int) -> pd.DataFrame:
    """Return so many comparisons (`comparisons`): the pairs over and over, with labels that say nothing."""
    table = _repeated(pairs, rows)
    return table.assign(
        objective="harmlessness",
        source="ai",
        principle_id=None,
        p_a_better=[float(row % 2) for row in range(rows)],
        p_a_first=None,
        p_a_second=None,
        thoughts=None,
    )


def _repeated(pairs: pd.DataFrame, rows: int) -> pd.DataFrame:
    table = pairs.iloc[[row % len(pairs) for row in range(rows)]].reset_index(drop=True)
    return table.assign(pair_id=[f"trial-{row}" for row in range(rows)])


def seconds_a_row(train: Callable[[int], object], batch: int) -> float:
    """Return the seconds of a row of a training, of which `train` does so many rows."""
    times = []
    for batches in (_SMALL, _LARGE):
        began = time.perf_counter()
        train(batches * batch)
        times.append(time.perf_counter() - began)
    more = (times[1] - times[0]) / ((_LARGE - _SMALL) * batch)
    return more if more > 0 else times[1] / (_LARGE * batch)
