"""A preference model on the policy's backbone gives the scores that it gives alone, and the policy stays what it is."""

import copy
from dataclasses import replace
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
from cai_kedro.learning import rewards
from cai_kedro.learning.preference import score_token_ids, with_score_head
from cai_kedro.learning.rl import Data, train
from cai_kedro.learning.rl.ppo import PPOParams
from cai_kedro.models.adapters import prepared, trained
from cai_kedro.models.shared_backbone import on_backbone_of
from cai_kedro.models.weights import trainable
from tests.adapters import LORA, WHOLE
from tests.learning.rl.test_ppo import SETTINGS
from tests.models.test_adapters import assert_close, changed, logits

SEQUENCES = [[1, 5, 9, 11, 3], [1, 7, 4]]


def scores(model: Any, lm: LanguageModel) -> Tensor:
    return score_token_ids(model, SEQUENCES, lm.tokenizer.pad_token_id, 2)


@pytest.fixture
def place(tiny_lm: LanguageModel, tmp_path: Path) -> Path:
    """A folder with a pretrained model, a policy and a preference model trained from it, both as adapters."""
    save_language_model(tiny_lm, tmp_path / "base")
    save_model(trained(changed(prepared(load_model(tmp_path / "base"), LORA, 0))), tmp_path / "sl_cai")
    pm = prepared(load_model(tmp_path / "base"), LORA, 1)
    pm = replace(pm, model=with_score_head(pm, 0.5, 0))
    save_model(trained(changed(pm, 3)), tmp_path / "pm")
    return tmp_path


@pytest.mark.parametrize("start", ["base", "sl_cai"])
def test_the_scores_are_those_of_the_whole_preference_model(place: Path, start: str) -> None:
    pm, policy = load_model(place / "pm"), changed(prepared(load_model(place / start), LORA, 2), 5)
    own = logits(policy)
    borrowed = on_backbone_of(policy, pm)
    assert borrowed is not None
    with borrowed.lent() as model:
        found = scores(model, pm)
        assert model.base_model is policy.model.base_model
    expected = scores(pm.model, pm)
    assert_close(found, expected)
    assert (expected[0] - expected[1]).abs() > 1e-3  # a model that scores all alike would pass
    assert torch.equal(logits(policy), own)
    assert len(trainable(policy.model)) == 28
    assert sum(each.numel() for each in borrowed.parameters()) < sum(each.numel() for each in pm.model.parameters()) / 2


def test_a_policy_on_two_adapters(place: Path) -> None:
    save_model(trained(changed(prepared(load_model(place / "sl_cai"), LORA, 4), 6)), place / "longer")
    pm, policy = load_model(place / "pm"), prepared(load_model(place / "longer"), LORA, 2)
    borrowed = on_backbone_of(policy, pm)
    assert borrowed is not None
    with borrowed.lent() as model:
        assert_close(scores(model, pm), scores(pm.model, pm))


def test_without_a_common_backbone_nothing_is_shared(place: Path, tiny_lm: LanguageModel) -> None:
    pm, policy = load_model(place / "pm"), prepared(load_model(place / "sl_cai"), LORA, 2)
    assert pm.adapter is not None
    save_language_model(changed(tiny_lm), place / "other")
    others = {
        "trained whole": (prepared(load_model(place / "sl_cai"), WHOLE, 2), pm),
        "another backbone": (prepared(load_model(place / "other"), LORA, 2), pm),
        "a whole preference model": (policy, replace(pm, adapter=None)),
        "4 bits": (policy, replace(pm, adapter=replace(pm.adapter, quantisation="nf4"))),
        "never saved": (prepared(replace(load_model(place / "base"), origin=None), LORA, 2), pm),
    }
    assert [name for name, pair in others.items() if on_backbone_of(*pair) is not None] == []


def test_ppo_learns_the_same(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the preference model's own weights are not read: with NaN in their place all is as before."""
    prompts = pd.DataFrame({"prompt_id": list("abcd"), "messages": [[user(f"What is {i}?")] for i in "abcd"]})

    def curves(pm: LanguageModel) -> pd.DataFrame:
        start = prepared(load_model(place / "sl_cai"), LORA, 2)
        found = train(start, Data(prompts=prompts, preference_model=pm), PPOParams(**SETTINGS), 1).curves
        return found[~found["metric"].str.contains("clip")]  # counts: one token more or less is no rounding

    pm = load_model(place / "pm")
    empty = replace(pm, model=copy.deepcopy(pm.model))
    for weights in empty.model.parameters():
        weights.data.fill_(torch.nan)
    shared = curves(empty)
    monkeypatch.setattr(rewards, "on_backbone_of", lambda *_: None)
    pd.testing.assert_frame_equal(shared, curves(pm), rtol=1e-3, atol=1e-4)
