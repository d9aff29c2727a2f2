"""One arm on a tiny model, run by Kedro from comparisons to policy."""

import copy

import numpy as np
import pytest
import torch
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from cai_kedro.core.schemas import check_table
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.templates import rlhf
from cai_kedro.templates.rlhf import preference
from cai_kedro.templates.rlhf.parameters import ArmParams, RLHFParams
from tests.adapters import WHOLE
from tests.pipelines.builders import comparison_table, prompt_table


class Kept(MemoryDataset):
    """Stays after its last use, so that a test can look at it."""

    def _release(self) -> None:
        pass


def run(tiny_lm: LanguageModel, params: RLHFParams, min_accuracy: float) -> DataCatalog:
    """Run an arm and return the catalog with all that it made; `sl_cai.model@checkpoint` is where it starts."""
    differences = {"gate": {"min_accuracy": min_accuracy}, "comparisons": {"limits": {"human_comparisons": 8}}}
    arm = rlhf.create_pipeline(
        ArmParams(name="rl_cai", algorithm="ppo", differences=differences),
        base="pretrained.model",
        comparisons=["ai_comparisons", "human_comparisons"],
        start="sl_cai.model",
        red_team_prompts="red_team_prompts",
        helpful_prompts="helpful_prompts",
    )
    inputs = {
        "ai_comparisons": comparison_table([0.9, 0.1] * 8, prefix="ai-"),
        "human_comparisons": comparison_table([1.0, 0.0] * 8, "helpfulness", "human-"),
        "red_team_prompts": prompt_table(["a?", "b?", "c?"], "r"),
        "helpful_prompts": prompt_table(["d?", "e?"], "h"),
        "pretrained.model@checkpoint": tiny_lm,
        "sl_cai.model@checkpoint": LanguageModel(copy.deepcopy(tiny_lm.model), tiny_lm.tokenizer),
        "params:rlhf": params,
        "params:training": WHOLE,
        "params:seed": 3,
    }
    keep = {name: Kept(copy_mode="assign") for name in arm.all_outputs()}
    catalog = DataCatalog({**{name: MemoryDataset(data, copy_mode="assign") for name, data in inputs.items()}, **keep})
    SequentialRunner().run(arm, catalog)
    return catalog


@pytest.mark.slow
def test_an_arm_trains_its_preference_model_and_its_policy(tiny_lm: LanguageModel, rlhf_params: RLHFParams) -> None:
    catalog = run(tiny_lm, rlhf_params, 0.0)
    assert len(check_table("comparisons", catalog.load("rl_cai.mixed_comparisons"))) == 24
    for curves in ("preference_curves", "policy_curves"):
        assert not check_table("curves", catalog.load(f"rl_cai.{curves}")).empty
    policy = catalog.load("rl_cai.policy.model@checkpoint")
    before, after = (next(lm.model.parameters()).detach() for lm in (tiny_lm, policy))
    assert not torch.equal(before, after)
    assert catalog.load("rl_cai.snapshots@checkpoint")
    assert 0 <= catalog.load("rl_cai.preference_metrics")["pm_held_out_accuracy.rl_cai.all"]["value"] <= 1


@pytest.mark.slow
def test_behind_a_closed_gate_an_arm_keeps_its_start_policy(
    tiny_lm: LanguageModel, rlhf_params: RLHFParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preference, "preference_accuracy", lambda model, tested, batch_size: np.zeros(len(tested)))
    start = {name: weight.clone() for name, weight in tiny_lm.model.state_dict().items()}
    catalog = run(tiny_lm, rlhf_params, 0.5)
    assert catalog.load("rl_cai.snapshots@checkpoint") == {}
    assert check_table("curves", catalog.load("rl_cai.policy_curves")).empty
    signals = check_table("signals", catalog.load("rl_cai.snapshot_signals"))
    assert set(signals["step"]) == {0}
    assert signals["pm_score"].notna().all()
    policy = catalog.load("rl_cai.policy.model@checkpoint")
    assert all(torch.equal(weight, start[name]) for name, weight in policy.model.state_dict().items())
    assert catalog.load("rl_cai.snapshot_choice")["why"].tolist() == ["start policy; kept, as there was no training"]
