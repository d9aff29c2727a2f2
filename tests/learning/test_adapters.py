"""Fine-tuning, preference model, regression, DPO and PPO train an adapter and leave the backbone as it is."""

import copy
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from cai_kedro.core.conversation import user
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import save_language_model
from cai_kedro.engines.model_reference import load_model, save_model
from cai_kedro.learning.preference import PreferenceParams, score_responses, train_preference_model
from cai_kedro.learning.regression import train_regression
from cai_kedro.learning.rl import Data, RLResult, train
from cai_kedro.learning.rl.dpo import DPOParams
from cai_kedro.learning.rl.ppo import PPOParams
from cai_kedro.learning.rl.rloo_grpo import RLOOParams
from cai_kedro.learning.sft import SFTParams, fine_tune
from cai_kedro.learning.training_arguments import TrainingParams
from cai_kedro.models.adapters import prepared
from tests.adapters import LORA
from tests.learning.rl import test_dpo, test_ppo
from tests.models.test_adapters import assert_close, logits
from tests.templates.conftest import SHARED

TRAINING: dict[str, Any] = {**SHARED["preference"], "learning_rate": 1e-2, "epochs": 4}
TRAINING.pop("head_std")
MESSAGES = [user("How do I do it?")]
ROWS = pd.DataFrame(
    {"row_id": [str(i) for i in range(16)], "messages": [MESSAGES] * 16, "response": ["Please do not."] * 16}
)


@pytest.fixture
def base(tiny_lm: LanguageModel, tmp_path: Path) -> LanguageModel:
    save_language_model(tiny_lm, tmp_path / "base")
    return load_model(tmp_path / "base")


def backbone_of(lm: LanguageModel) -> dict[str, Tensor]:
    named = lm.model.base_model.named_parameters()
    return {name.replace(".base_layer", ""): w.detach().clone() for name, w in named if "lora_" not in name}


def assert_backbone(lm: LanguageModel, before: dict[str, Tensor]) -> None:
    after = backbone_of(lm)
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_fine_tuning(base: LanguageModel, tmp_path: Path) -> None:
    before = backbone_of(base)
    lm, curves = fine_tune(prepared(base, LORA, 0), ROWS, SFTParams(**TRAINING), 0)
    losses = curves[curves["metric"] == "loss"]["value"]
    assert losses.iloc[-1] < losses.iloc[0] - 1
    assert_backbone(lm, before)
    save_model(lm, tmp_path / "sl_cai")
    assert_close(logits(load_model(tmp_path / "sl_cai")), logits(lm))


def test_a_preference_model(base: LanguageModel, tmp_path: Path) -> None:
    before = backbone_of(base)
    comparisons = test_dpo.comparisons(24, 1.0)
    params = PreferenceParams(**TRAINING, head_std=0.0)
    pm, curves = train_preference_model(prepared(base, LORA, 0), comparisons, params, 0)
    assert curves[curves["metric"] == "accuracy"]["value"].iloc[-1] > 0.9
    assert_backbone(pm, before)
    save_model(pm, tmp_path / "pm")
    answers = ["Please do not do 3.", "Go on, 3 is fun!"]
    of_both = [score_responses(lm, [MESSAGES] * 2, answers, 2) for lm in (pm, load_model(tmp_path / "pm"))]
    assert_close(*map(torch.from_numpy, of_both))
    assert of_both[0][0] > of_both[0][1]


def test_a_model_of_ratings(base: LanguageModel) -> None:
    before = backbone_of(base)
    rated = pd.DataFrame({"messages": [MESSAGES] * 8, "response": ["No.", "Yes, do!"] * 4, "rating": [0.0, 4.0] * 4})
    lm = train_regression(prepared(base, LORA, 0), rated, TrainingParams(**{**TRAINING, "epochs": 10}), 0)
    low, high = score_responses(lm, [MESSAGES] * 2, ["No.", "Yes, do!"], 2)
    assert high - low > 2
    assert_backbone(lm, before)


def by_dpo(base: LanguageModel, **changed: Any) -> RLResult:
    data = Data(comparisons=test_dpo.comparisons(16))
    return train(prepared(base, LORA, 0), data, DPOParams(**(test_dpo.SETTINGS | changed)), 1)


def by_ppo(base: LanguageModel, **changed: Any) -> RLResult:
    fresh = copy.deepcopy(base)
    params = PreferenceParams(**{**TRAINING, "epochs": 1}, head_std=0.1)
    pm, _ = train_preference_model(prepared(fresh, LORA, 0), test_dpo.comparisons(8), params, 0)
    prompts = pd.DataFrame({"prompt_id": list("abcd"), "messages": [[user(f"What is {i}?")] for i in "abcd"]})
    data = Data(prompts=prompts, preference_model=pm)
    return train(prepared(base, LORA, 0), data, PPOParams(**(test_ppo.SETTINGS | changed)), 1)


@pytest.mark.parametrize("by", [by_dpo, by_ppo])
def test_a_policy(by: Any, base: LanguageModel, tmp_path: Path) -> None:
    before, said = backbone_of(base), logits(base)
    result = by(base)
    assert_backbone(result.policy, before)
    assert not torch.allclose(logits(result.policy), said, atol=1e-2)
    steps = sorted(result.snapshots)
    assert steps
    for step in steps:
        save_model(result.snapshots[step], tmp_path / f"step_{step}")
        assert_close(logits(load_model(tmp_path / f"step_{step}")), logits(result.snapshots[step]))
        assert not (tmp_path / f"step_{step}" / "model.safetensors").exists()


@pytest.mark.parametrize("by", [by_dpo, by_ppo])
def test_a_policy_goes_on_where_it_was_interrupted(
    by: Any, base: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {"checkpoints": {"directory": str(tmp_path / "c"), "seconds": 0}, "snapshot_every": 1}
    whole = by(copy.deepcopy(base), **kept, **({"log_every": 1} if by is by_dpo else {}))
    (run_dir,) = (tmp_path / "c").iterdir()
    done = sorted(run_dir.glob("checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))
    for path in done[1:]:
        path.rename(path.with_name(f"gone-{path.name}"))
    assert len(done) > 1
    again = by(copy.deepcopy(base), **kept, **({"log_every": 1} if by is by_dpo else {}))
    assert whole.policy.adapter is not None
    assert again.policy.adapter is not None
    assert whole.policy.adapter.weights is not None
    assert again.policy.adapter.weights is not None
    for name, weights in whole.policy.adapter.weights.items():
        assert torch.equal(weights, again.policy.adapter.weights[name]), name


def test_the_penalty_is_against_the_start(base: LanguageModel) -> None:
    """In the first rollout the policy is still the start: a reference with the adapter on would give 0 ever after."""
    curves = by_ppo(base, rollouts=4, learning_rate=3e-2).curves
    kl = curves[curves["metric"] == "kl"]["value"].to_numpy()
    assert abs(kl[0]) < 1e-5
    assert abs(kl[-1]) > 0.01


def test_trl_trains_no_adapter(base: LanguageModel) -> None:
    rollouts = {name: value for name, value in test_ppo.SETTINGS.items() if name in RLOOParams.model_fields}
    with pytest.raises(ValueError, match="rloo trains no adapter; take ppo or dpo"):
        train(prepared(base, LORA, 0), Data(), RLOOParams(**rollouts), 0)
