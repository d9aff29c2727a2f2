"""A backbone of 4 bits computes with its rounded weights, has gradients for the adapter alone, and is read back so."""

import copy
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import load_language_model, save_language_model
from cai_kedro.engines.model_reference import load_model, save_model
from cai_kedro.engines.nf4 import linear_layers, round_trunk
from cai_kedro.learning import launch
from cai_kedro.learning.preference import with_score_head
from cai_kedro.learning.processes import ALONE, Processes
from cai_kedro.learning.rl import Data, train
from cai_kedro.learning.rl.dpo import DPOParams
from cai_kedro.learning.sft import SFTParams, fine_tune
from cai_kedro.models.adapters import as_it_came, backbone_alone, copy_with, prepared, trained
from cai_kedro.models.weights import put_weights, trainable, trained_weights
from tests.adapters import LORA, QLORA
from tests.learning.forked_ranks import run_forked
from tests.learning.rl.test_ppo import prompt_table, settings
from tests.learning.test_launch import LEARNS, ROWS_TO_LEARN
from tests.learning.test_parts import _comparisons
from tests.models.test_adapters import IDS, assert_close, changed, logits

pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed: pip install bitsandbytes")


@pytest.fixture
def tiny_lm(tiny_lm: LanguageModel) -> LanguageModel:
    """A tiny model whose layers read multiples of 64 numbers, as those of real models do."""
    config = copy.deepcopy(tiny_lm.model.config)
    config.hidden_size, config.intermediate_size, config.head_dim = 64, 128, 16
    torch.manual_seed(0)
    return LanguageModel(LlamaForCausalLM(config).eval(), tiny_lm.tokenizer)


def rounded_logits(lm: LanguageModel) -> Tensor:
    whole = copy.deepcopy(lm)
    round_trunk(whole.model)
    return logits(whole)


def test_the_model_is_the_one_of_rounded_weights(tiny_lm: LanguageModel) -> None:
    expected, before = rounded_logits(tiny_lm), logits(tiny_lm)
    bytes_before = sum(weights.nbytes for weights in tiny_lm.model.parameters())
    lm = prepared(tiny_lm, QLORA, 0)
    assert_close(logits(lm), expected)
    assert not torch.allclose(before, expected, atol=1e-2)
    held = [weights for name, weights in lm.model.named_parameters() if weights.dtype == torch.uint8]
    assert len(held) == len(linear_layers(lm.model)) - 28 == 14  # A and B are linear layers of their own
    assert sum(weights.nbytes for weights in lm.model.parameters()) < bytes_before
    assert {weights.dtype for weights in trainable(lm.model)} == {torch.float32}
    assert len(trainable(lm.model)) == 28


def test_reading_without_gradients_does_not_take_them_away(tiny_lm: LanguageModel) -> None:
    lm = prepared(tiny_lm, QLORA, 0)
    logits(lm)
    lm.model(IDS, labels=IDS).loss.backward()
    names = {name for name, weights in lm.model.named_parameters() if weights.grad is not None and weights.grad.any()}
    # A has none yet: B is nought
    assert names == {name for name, weights in lm.model.named_parameters() if "lora_B" in name}


def test_the_gradients_are_those_of_rounded_weights(tiny_lm: LanguageModel) -> None:
    whole = copy.deepcopy(tiny_lm)
    round_trunk(whole.model)
    gradients = []
    for lm in (prepared(whole, LORA, 0), prepared(tiny_lm, QLORA, 0)):
        changed(lm)
        lm.model(IDS, labels=IDS).loss.backward()
        gradients.append({name: weights.grad for name, weights in lm.model.named_parameters() if weights.requires_grad})
    torch.testing.assert_close(gradients[1], gradients[0], atol=1e-4, rtol=1e-3)


def test_under_autocast_products_are_in_its_precision(tiny_lm: LanguageModel) -> None:
    lm = prepared(tiny_lm, QLORA, 0)
    layer = lm.model.get_submodule(linear_layers(lm.model)[0])
    states = torch.randn(2, layer.in_features)  # type: ignore[arg-type]
    assert layer(states).dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(states).dtype == torch.bfloat16
    assert layer(states).dtype == torch.float32


def test_with_the_adapter_off_it_is_the_backbone(tiny_lm: LanguageModel) -> None:
    lm = prepared(tiny_lm, QLORA, 0)
    before = logits(lm)
    after = logits(changed(lm))
    with as_it_came(lm.model):
        assert torch.equal(logits(lm), before)
    assert not torch.allclose(after, before)


def test_copies_share_the_backbone(tiny_lm: LanguageModel) -> None:
    lm = changed(prepared(tiny_lm, QLORA, 0))
    early, expected = trained_weights(lm.model), logits(lm)
    late = logits(changed(lm, 1))
    kept = copy_with(lm, early)
    assert torch.equal(logits(kept), expected)
    assert torch.equal(logits(lm), late)
    ours, theirs = ({id(weights) for weights in each.model.parameters()} for each in (lm, kept))
    assert len(ours & theirs) == len(ours) - 28
    put_weights(lm.model, early)
    assert torch.equal(logits(lm), expected)


def test_it_is_read_back_as_it_was_trained(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    save_language_model(tiny_lm, tmp_path / "base")
    lm = trained(changed(prepared(load_model(tmp_path / "base"), QLORA, 0)))
    save_model(lm, tmp_path / "a")
    assert json.loads((tmp_path / "a" / "backbone.json").read_text())["quantisation"] == "nf4"
    read = load_model(tmp_path / "a")
    assert_close(logits(read), logits(lm))
    # a chain: the next backbone is this one merged, and rounded again
    second = trained(changed(prepared(read, QLORA, 1), 1))
    save_model(second, tmp_path / "second")
    assert_close(logits(load_model(tmp_path / "second")), logits(second))
    # merged in memory, too
    again = prepared(lm, QLORA, 2)
    torch.testing.assert_close(logits(again), rounded_logits(load_model(tmp_path / "a")), atol=0.05, rtol=0.05)


def test_the_backbone_alone_is_whole_meanwhile(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    expected = rounded_logits(tiny_lm)
    lm = changed(prepared(tiny_lm, QLORA, 0))
    after = logits(lm)
    with backbone_alone(lm):
        save_language_model(lm, tmp_path / "base")
    assert_close(logits(load_language_model(tmp_path / "base")), expected)
    assert torch.equal(logits(lm), after)


def test_fine_tuning_on_one_process_and_on_two(tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "run_children", run_forked)
    found = []
    for processes in (ALONE, Processes(processes=2, sharding="none")):
        lm = prepared(copy.deepcopy(tiny_lm), QLORA, 0)
        before = trained_weights(lm.model)
        done, curves = fine_tune(lm, ROWS_TO_LEARN, SFTParams(**LEARNS, device_batch_size=1), 0, processes)
        assert done.adapter is not None
        assert done.adapter.weights is not None
        assert any(not torch.equal(before[name], weights) for name, weights in trained_weights(lm.model).items())
        found.append((done.adapter.weights, curves[curves["metric"] == "loss"]["value"].tolist()))
    (one, losses), (two, losses_of_two) = found
    assert losses_of_two == pytest.approx(losses, abs=1e-5)
    assert len(losses) == 4
    torch.testing.assert_close(dict(two), dict(one), atol=1e-4, rtol=1e-3)


def test_ppo_holds_the_policy_to_the_rounded_start(tiny_lm: LanguageModel) -> None:
    lm = prepared(copy.deepcopy(tiny_lm), QLORA, 0)
    before = logits(lm)
    scorer = LanguageModel(with_score_head(copy.deepcopy(tiny_lm), 0.5, 1), tiny_lm.tokenizer)
    result = train(lm, Data(prompts=prompt_table(), preference_model=scorer), settings(rollouts=2, snapshot_every=1), 0)
    kl = result.curves[result.curves["metric"] == "kl"].set_index("step")["value"]
    assert kl[1] == pytest.approx(0, abs=1e-3)
    assert not torch.allclose(logits(result.policy), before)
    assert list(result.snapshots) == [1, 2]
    with as_it_came(lm.model):
        assert torch.equal(logits(lm), before)


def test_dpo(tiny_lm: LanguageModel) -> None:
    more = {"beta": 0.1, "max_new_tokens": 4, "temperature": 1.0, "max_batch_tokens": 400, "snapshot_every": 3}
    lm = prepared(tiny_lm, QLORA, 0)
    before = logits(lm)
    result = train(lm, Data(comparisons=_comparisons()), DPOParams(**LEARNS, **more, device_batch_size=2), 0)
    losses = result.curves[result.curves["metric"] == "loss"]["value"]
    assert losses.iloc[0] == pytest.approx(0.6931, abs=1e-3)  # policy and reference are one at first
    assert not torch.allclose(logits(result.policy), before)
