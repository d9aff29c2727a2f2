"""Weights of 4 bits: sixteen codes times the scale of a block, the same as bitsandbytes holds."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scipy.stats import norm
from torch import nn

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import load_language_model, save_language_model
from cai_kedro.engines.model_reference import load_model, model_digest, save_model
from cai_kedro.engines.nf4 import BLOCK, CODES, linear_layers, round_trunk, rounded
from cai_kedro.models.adapters import prepared, trained
from tests.adapters import LORA
from tests.models.test_adapters import assert_close, changed, logits


def test_the_codes_are_quantiles_of_a_normal_distribution() -> None:
    """Appendix E of the paper: eight of them below nought with their end, nine above, each side in equal steps."""
    end = (1 - 1 / 32 + 1 - 1 / 30) / 2
    above = norm.ppf(torch.linspace(0.5, end, 9).numpy())
    below = -norm.ppf(torch.linspace(0.5, end, 8).numpy())[::-1]
    expected = torch.tensor([*below[:-1], *above]) / above[-1]
    torch.testing.assert_close(torch.tensor(CODES), expected.float(), atol=1e-6, rtol=0)


def test_a_block_is_rounded_by_its_own_scale() -> None:
    weights = torch.zeros(2, BLOCK)
    weights[0, :4] = torch.tensor([2.0, -2.0, 0.7, -0.01])
    weights[1, 0] = 1e-3
    found = rounded(weights)
    # 0.7 / 2 = 0.35 is nearest to 0.3379, -0.005 to 0
    assert found[0, :4].tolist() == pytest.approx([2.0, -2.0, 2 * 0.33791524, 0.0])
    assert found[1, 0].item() == pytest.approx(1e-3)
    assert torch.count_nonzero(found) == 4


@pytest.mark.parametrize("shape", [(32, 48), (3, 7)])
def test_once_rounded_weights_stay(shape: tuple[int, int]) -> None:
    weights = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    once = rounded(weights)
    assert torch.equal(rounded(once), once)
    assert 0.05 < (once - weights).std() < 0.15
    assert len(once.unique()) <= 16 * -(-weights.numel() // BLOCK)


def test_bitsandbytes_holds_the_same() -> None:
    functional = pytest.importorskip("bitsandbytes.functional", reason="bitsandbytes is not installed")
    weights = torch.randn(96, 130, generator=torch.Generator().manual_seed(0))
    held, state = functional.quantize_4bit(weights, blocksize=BLOCK, compress_statistics=False, quant_type="nf4")
    theirs = functional.dequantize_4bit(held, state)
    ours = rounded(weights)
    # a weight half way between two codes may go either way
    assert (ours != theirs).float().mean() < 1e-3
    held, state = functional.quantize_4bit(ours, blocksize=BLOCK, compress_statistics=False, quant_type="nf4")
    assert torch.equal(functional.dequantize_4bit(held, state), ours)


def test_head_and_embeddings_are_left_as_they_are(tiny_lm: LanguageModel) -> None:
    before = {name: weights.clone() for name, weights in tiny_lm.model.named_parameters()}
    round_trunk(tiny_lm.model)
    now = dict(tiny_lm.model.named_parameters())
    moved = {name.removesuffix(".weight") for name in before if not torch.equal(before[name], now[name])}
    assert moved == set(linear_layers(tiny_lm.model))
    assert len(moved) == 14
    assert isinstance(tiny_lm.model.get_output_embeddings(), nn.Linear)


def test_an_adapter_of_4_bits_is_read_on_rounded_weights(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    save_language_model(tiny_lm, tmp_path / "base")
    rounded_lm = load_language_model(tmp_path / "base")
    round_trunk(rounded_lm.model)
    lm = trained(changed(prepared(rounded_lm, LORA, 0)))
    expected = logits(lm)
    assert lm.adapter is not None
    save_model(replace(lm, adapter=replace(lm.adapter, quantisation="nf4")), tmp_path / "a")
    save_model(lm, tmp_path / "b")
    assert json.loads((tmp_path / "a" / "backbone.json").read_text()) == {
        "path": "../base",
        "sha256": model_digest(tmp_path / "base"),
        "quantisation": "nf4",
    }
    assert_close(logits(load_model(tmp_path / "a")), expected)
    assert not torch.allclose(logits(load_model(tmp_path / "b")), expected, atol=1e-2)
    assert model_digest(tmp_path / "a") != model_digest(tmp_path / "b")
    # read and written again it is the same
    save_model(copy.copy(load_model(tmp_path / "a")), tmp_path / "again")
    assert model_digest(tmp_path / "again") == model_digest(tmp_path / "a")
    content = json.loads((tmp_path / "a" / "backbone.json").read_text())
    (tmp_path / "a" / "backbone.json").write_text(json.dumps({**content, "quantisation": "int8"}))
    with pytest.raises(ValueError, match="quantisation='int8'; expected 'nf4'"):
        load_model(tmp_path / "a")
