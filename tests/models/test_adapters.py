"""An adapter changes nothing at first, is all that is trained, can be turned off, and is merged for what comes next."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.models import adapters
from cai_kedro.models.adapters import (
    AdapterParams,
    LoRAParams,
    as_it_came,
    check_prepared,
    copy_with,
    prepared,
    targets_of,
    trained,
)
from cai_kedro.models.weights import put_weights, trainable, trained_weights
from tests.adapters import LORA, QLORA, WHOLE

IDS = torch.arange(2, 30)[None]


def logits(lm: LanguageModel) -> Tensor:
    with torch.no_grad():
        found: Tensor = lm.model(IDS).logits
    return found


def assert_close(found: Tensor, expected: Tensor) -> None:
    """Merged weights are rounded otherwise than the sum of two layers."""
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)


def changed(lm: LanguageModel, seed: int = 0) -> LanguageModel:
    """As a training would: its trainable weights move."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in trainable(lm.model):
            weights.add_(0.1 * torch.randn(weights.shape, generator=generator))
    return lm


def test_nothing_is_changed_at_first_and_only_the_adapter_is_trained(tiny_lm: LanguageModel) -> None:
    before = logits(tiny_lm)
    lm = prepared(tiny_lm, LORA, 0)
    assert torch.equal(logits(lm), before)
    assert lm.adapter is not None
    # q, k, v, o and three of the MLP, in two layers; A and B each
    assert len(lm.adapter.targets) == 14
    assert len(trainable(lm.model)) == 28
    frozen = {id(weights) for weights in lm.model.parameters()} - {id(weights) for weights in trainable(lm.model)}
    assert id(lm.model.get_input_embeddings().weight) in frozen


def test_without_an_adapter_all_weights_are_trained(tiny_lm: LanguageModel) -> None:
    lm = prepared(tiny_lm, WHOLE, 0)
    assert lm.adapter is None
    assert trainable(lm.model) == list(tiny_lm.model.parameters())
    assert trained_weights(lm.model).keys() == tiny_lm.model.state_dict().keys()


def test_the_seed_decides_the_adapter_and_no_other_draw(tiny_lm: LanguageModel) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first, again, other = (trained_weights(prepared(copy.deepcopy(tiny_lm), LORA, seed).model) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def test_with_the_adapter_off_the_model_is_the_one_that_came(tiny_lm: LanguageModel) -> None:
    before = logits(tiny_lm)
    lm = changed(prepared(tiny_lm, LORA, 0))
    after = logits(lm)
    assert not torch.allclose(after, before)
    with as_it_came(lm.model):
        assert torch.equal(logits(lm), before)
    assert torch.equal(logits(lm), after)
    assert len(trainable(lm.model)) == 28


def test_the_next_adapter_stands_on_the_one_before(tiny_lm: LanguageModel) -> None:
    lm = trained(changed(prepared(tiny_lm, LORA, 0)))
    after = logits(lm)
    chained = prepared(lm, LORA, 1)
    assert_close(logits(chained), after)
    changed(chained, 1)
    with as_it_came(chained.model):
        assert_close(logits(chained), after)
    assert chained.adapter is not None
    assert chained.adapter.backbone is None  # these merged weights lie nowhere
    whole = prepared(trained(chained), WHOLE, 0)
    assert whole.adapter is None
    assert len(trainable(whole.model)) == len(list(whole.model.parameters()))
    assert not any("lora" in name for name, _ in whole.model.named_parameters())


def test_a_copy_shares_the_backbone_and_has_its_own_adapter(tiny_lm: LanguageModel) -> None:
    lm = changed(prepared(tiny_lm, LORA, 0))
    early, expected = trained_weights(lm.model), logits(lm)
    late = logits(changed(lm, 1))
    kept = copy_with(lm, early)
    assert torch.equal(logits(kept), expected)
    assert torch.equal(logits(lm), late)
    assert kept.model.get_input_embeddings().weight is lm.model.get_input_embeddings().weight
    put_weights(lm.model, early)
    assert torch.equal(logits(lm), expected)


def test_a_copy_of_a_whole_model_shares_nothing(tiny_lm: LanguageModel) -> None:
    early, expected = trained_weights(tiny_lm.model), logits(tiny_lm)
    kept = copy_with(changed(tiny_lm), early)
    assert torch.equal(logits(kept), expected)
    assert not torch.equal(logits(tiny_lm), expected)


@pytest.mark.parametrize(
    ("targets", "told"),
    [
        (["q_prj"], r"names 'q_prj', and no linear layer of LlamaForCausalLM is called so.*did you mean 'q_proj'"),
        (["q_proj", "c_attn"], "names 'c_attn'.*only down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj"),
        (["lm_head"], "names 'lm_head'"),
    ],
)
def test_a_target_that_no_layer_has_is_refused(tiny_lm: LanguageModel, targets: list[str], told: str) -> None:
    lora = LoRAParams(rank=2, alpha=2, targets=targets)
    with pytest.raises(ValueError, match=told):
        prepared(tiny_lm, AdapterParams(adapter="lora", lora=lora), 0)


def test_named_targets_are_taken_alone(tiny_lm: LanguageModel) -> None:
    found = targets_of(tiny_lm.model, LoRAParams(rank=2, alpha=2, targets=["q_proj", "v_proj"]))
    assert [name.rpartition(".")[2] for name in found] == ["q_proj", "v_proj"] * 2
    lora = LoRAParams(rank=2, alpha=2, targets=["q_proj", "v_proj"])
    lm = prepared(tiny_lm, AdapterParams(adapter="lora", lora=lora), 0)
    assert len(trainable(lm.model)) == 8


def test_layers_that_keep_their_weights_the_other_way_round(tiny_lm: LanguageModel) -> None:
    config = GPT2Config(vocab_size=len(tiny_lm.tokenizer), n_embd=32, n_layer=2, n_head=2, n_positions=64)
    torch.manual_seed(0)
    lm = LanguageModel(GPT2LMHeadModel(config).eval(), tiny_lm.tokenizer)
    before = logits(lm)
    lm = trained(changed(prepared(lm, LORA, 0)))
    after = logits(lm)
    assert not torch.allclose(after, before)
    assert_close(logits(prepared(lm, WHOLE, 0)), after)


def test_qlora_without_its_package_is_refused(tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"qlora.*needs the package 'bitsandbytes': pip install.*set it to lora"):
        prepared(tiny_lm, QLORA, 0)


def test_qlora_holds_no_layers_that_keep_their_weights_the_other_way_round(
    tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapters, "find_spec", lambda name: object())
    config = GPT2Config(vocab_size=len(tiny_lm.tokenizer), n_embd=32, n_layer=1, n_head=2, n_positions=64)
    with pytest.raises(ValueError, match=r"qlora.*GPT2LMHeadModel keeps weights in layers \(Conv1D\).*set it to lora"):
        prepared(LanguageModel(GPT2LMHeadModel(config), tiny_lm.tokenizer), QLORA, 0)


def test_qlora_holds_only_layers_whose_rows_are_whole_blocks(
    tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapters, "find_spec", lambda name: object())
    with pytest.raises(ValueError, match=r"q_proj of LlamaForCausalLM reads 32 numbers; expected a multiple of 64"):
        prepared(tiny_lm, QLORA, 0)


def test_a_model_that_came_with_an_adapter_is_not_trained_as_it_is(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    check_prepared(tiny_lm)
    lm = prepared(tiny_lm, LORA, 0)
    check_prepared(lm)
    with pytest.raises(ValueError, match="came with an adapter"):
        check_prepared(trained(lm))
