"""One arm on a tiny model, run by Kedro from comparisons to policy."""

import copy

import pytest
import torch
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from cai_kedro.core.schemas import check_table
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.templates import rlhf
from cai_kedro.templates.rlhf.parameters import ArmParams, RLHFParams
from tests.adapters import WHOLE
from tests.pipelines.builders import comparison_table, prompt_table


class Kept(MemoryDataset):
    """Stays after its last use, so that a test can look at it."""

    def _release(self) -> None:
        pass


@pytest.mark.slow
def test_an_arm_trains_its_preference_model_and_its_policy(tiny_lm: LanguageModel, rlhf_params: RLHFParams) -> None:
    differences = {"gate": {"min_accuracy": 0.0}, "comparisons": {"limits": {"human_comparisons": 8}}}
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
        "params:rlhf": rlhf_params,
        "params:training": WHOLE,
        "params:seed": 3,
    }
    keep = {name: Kept(copy_mode="assign") for name in arm.all_outputs()}
    catalog = DataCatalog({**{name: MemoryDataset(data, copy_mode="assign") for name, data in inputs.items()}, **keep})
    SequentialRunner().run(arm, catalog)

    assert len(check_table("comparisons", catalog.load("rl_cai.mixed_comparisons"))) == 24
    for curves in ("preference_curves", "policy_curves"):
        assert not check_table("curves", catalog.load(f"rl_cai.{curves}")).empty
    policy = catalog.load("rl_cai.policy.model@checkpoint")
    before, after = (next(lm.model.parameters()).detach() for lm in (tiny_lm, policy))
    assert not torch.equal(before, after)
    assert catalog.load("rl_cai.snapshots@checkpoint")
    assert 0 <= catalog.load("rl_cai.preference_metrics")["pm_held_out_accuracy.rl_cai.all"]["value"] <= 1
