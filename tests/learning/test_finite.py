"""No training gives back, and no dataset writes, a model with a number that is none; its scores are an error."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from kedro.io import DatasetError

from cai_kedro.core.conversation import user
from cai_kedro.datasets.model_checkpoint_dataset import ModelCheckpointDataset
from cai_kedro.datasets.snapshots_dataset import SnapshotsDataset
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.preference import (
    PreferenceParams,
    preference_accuracy,
    train_preference_model,
    with_score_head,
)
from cai_kedro.learning.regression import train_regression
from cai_kedro.learning.sft import SFTParams, fine_tune
from tests.learning.rl.test_ppo import prompt_table, settings_of, train_against
from tests.pipelines.builders import comparison_table

PARAMS: dict[str, Any] = {
    "device": "cpu",
    "dtype": "float32",
    "epochs": 1,
    "batch_size": 4,
    "learning_rate": 1e39,
    "warmup_steps": 0,
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "max_length": 96,
    "log_every": 100,
}


def train_sft(lm: LanguageModel, n: int, **changed: Any) -> None:
    rows = pd.DataFrame({"messages": [[user("Hi")]] * n, "response": [f"answer {i}" for i in range(n)]})
    fine_tune(lm, rows, SFTParams(**{**PARAMS, **changed}), seed=1)


def train_pm(lm: LanguageModel, n: int, **changed: Any) -> None:
    table = comparison_table([0.9, 0.1] * (n // 2))
    train_preference_model(lm, table, PreferenceParams(**{**PARAMS, "head_std": 0.1, **changed}), seed=1)


def train_harmfulness(lm: LanguageModel, n: int, **changed: Any) -> None:
    rated = pd.DataFrame(
        {"messages": [[user("Hi")]] * n, "response": [f"answer {i}" for i in range(n)], "rating": [0.0, 4.0] * (n // 2)}
    )
    train_regression(lm, rated, SFTParams(**{**PARAMS, **changed}), seed=1)


TRAININGS = [
    pytest.param(train_sft, "fine-tuning", id="sft"),
    pytest.param(train_pm, "preference model", id="pm"),
    pytest.param(train_harmfulness, "harmfulness model", id="regression"),
]


@pytest.mark.parametrize(("train", "name"), TRAININGS)
def test_training_stops_at_the_first_step_that_is_not_finite(train: Any, name: str, tiny_lm: LanguageModel) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: the (loss|gradient norm) is (nan|inf) at step [23] with learning"):
        train(tiny_lm, 20)


@pytest.mark.parametrize(("train", "name"), TRAININGS)
@pytest.mark.parametrize("n", [4, 20])
def test_no_checkpoint_of_a_training_that_diverged_is_left(
    train: Any, name: str, n: int, tiny_lm: LanguageModel, tmp_path: Path
) -> None:
    checkpoints = {"directory": str(tmp_path / "checkpoints"), "seconds": 0}
    with pytest.raises(ValueError, match=rf"^{name}: .*(not finite|nan|inf)"):
        train(tiny_lm, n, log_every=1, checkpoints=checkpoints)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("train", "name"), TRAININGS)
def test_the_last_optimiser_step_is_looked_at_too(train: Any, name: str, tiny_lm: LanguageModel) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: \d+ of \d+ weights hold values that are not finite"):
        train(tiny_lm, 4, max_grad_norm=1e30)


def test_a_broken_weight_stops_the_first_step(tiny_lm: LanguageModel) -> None:
    with torch.no_grad():
        tiny_lm.model.model.norm.weight[0] = math.nan
    with pytest.raises(ValueError, match=r"^fine-tuning: the loss is nan at step 1 with learning rate 0\.001"):
        train_sft(tiny_lm, 4, learning_rate=1e-3)


def preference_model(lm: LanguageModel, broken: bool = False) -> LanguageModel:
    model = with_score_head(lm, 0.5, 1)
    if broken:
        with torch.no_grad():
            model.score.weight[0, 0] = math.nan
    return LanguageModel(model, lm.tokenizer)


@pytest.mark.parametrize("algorithm", ["ppo", "rloo", "grpo"])
@pytest.mark.parametrize("rollouts", [1, 3])
def test_a_policy_that_diverges_is_not_given_back(
    algorithm: str, rollouts: int, tiny_lm: LanguageModel, tmp_path: Path
) -> None:
    params = settings_of(
        algorithm,
        rollouts=rollouts,
        ppo_epochs=1,
        minibatch_size=8,  # one optimiser step a rollout: with one rollout, the last step is the first
        learning_rate=1e39,
        warmup_rollouts=0,
        snapshot_every=1,
        **({"checkpoints": {"directory": str(tmp_path), "seconds": 0}} if algorithm == "ppo" else {}),
    )
    with pytest.raises(ValueError, match=rf"^{algorithm.upper()}: .*not finite|^{algorithm.upper()}: .*(nan|inf)"):
        train_against(tiny_lm, preference_model(tiny_lm), prompt_table(), params, seed=1)
    assert list(tmp_path.rglob("*.safetensors")) == []


def test_scores_of_a_broken_model_are_an_error_and_no_accuracy(tiny_lm: LanguageModel) -> None:
    table = comparison_table([0.9, 0.1])
    with pytest.raises(ValueError, match="gave 2 of 2 answers a score that is not finite"):
        preference_accuracy(preference_model(tiny_lm, broken=True), table, batch_size=8)


def test_no_model_with_a_broken_weight_is_written(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    with torch.no_grad():
        tiny_lm.model.model.norm.weight[0] = math.inf
    told = r"1 of \d+ weights hold values that are not finite, 'model\.norm\.weight' first"
    with pytest.raises(DatasetError, match=told):
        ModelCheckpointDataset(filepath=tmp_path / "sl_cai").save(tiny_lm)
    with pytest.raises(DatasetError, match=told):
        SnapshotsDataset(filepath=tmp_path / "snapshots").save({5: tiny_lm})
    assert list(tmp_path.iterdir()) == []
