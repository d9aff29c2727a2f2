"""Weights are read when an engine is first asked, in the precision that it computes in."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from cai_kedro.core.asks import Ask
from cai_kedro.engines.base import Sampling
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.loading import TransformersSettings, load_engine
from cai_kedro.engines.model_files import ModelFiles, load_language_model, open_model, save_language_model
from cai_kedro.engines.transformers_engine import TransformersEngine, cast_weights
from tests.asks import plain

ASKS: list[Ask] = plain(["some text", "other text, a bit longer"])
SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=6)


@pytest.fixture
def directory(tiny_lm: LanguageModel, tmp_path: Path) -> Path:
    save_language_model(tiny_lm, tmp_path / "model")
    return tmp_path / "model"


def settings(dtype: str) -> TransformersSettings:
    return TransformersSettings(kind="transformers", device="cpu", dtype=dtype, max_batch_tokens=512)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_engine_reads_its_weights_when_it_is_asked(
    directory: Path, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[Any] = []
    load = ModelFiles.load

    def counted(files: ModelFiles, *how: Any, **named: Any) -> LanguageModel:
        loads.append(how)
        return load(files, *how, **named)

    monkeypatch.setattr(ModelFiles, "load", counted)
    engine = load_engine(settings(dtype), directory)
    assert len(engine.fingerprint) == 64
    assert engine.layout == load_engine(settings(dtype), directory).layout
    assert engine.fits(ASKS, 6) == [True, True]  # type: ignore[attr-defined]
    assert loads == []
    first = engine.generate(ASKS, SAMPLING, [1, 2])
    assert engine.generate(ASKS, SAMPLING, [1, 2]) == first
    assert loads == [(dtype, "cpu")]
    whole = TransformersEngine(load_language_model(directory), max_batch_tokens=512, dtype=dtype)  # type: ignore[arg-type]
    assert whole.generate(ASKS, SAMPLING, [1, 2]) == first


def test_fingerprints_tell_precision_and_weights(directory: Path, tiny_lm: LanguageModel, tmp_path: Path) -> None:
    fingerprint = load_engine(settings("float32"), directory).fingerprint
    assert load_engine(settings("float32"), directory).fingerprint == fingerprint
    assert load_engine(settings("bfloat16"), directory).fingerprint != fingerprint
    with torch.no_grad():
        tiny_lm.model.model.norm.weight[0] += 1e-3
    save_language_model(tiny_lm, tmp_path / "other")
    assert load_engine(settings("float32"), tmp_path / "other").fingerprint != fingerprint


def test_weights_read_in_16_bits_are_those_that_casting_gives(directory: Path) -> None:
    files = open_model(directory)
    cast = cast_weights(files.load().model, torch.bfloat16)
    read = files.load("bfloat16").model
    assert read.dtype == torch.bfloat16
    for name, weights in cast.named_parameters():
        assert torch.equal(dict(read.named_parameters())[name], weights), name
    assert torch.equal(read.model.rotary_emb.inv_freq, cast.model.rotary_emb.inv_freq)


def test_a_model_may_lie_on_a_device_at_once(directory: Path) -> None:
    """`meta` stands for a GPU: it goes the same way through transformers."""
    model = load_language_model(directory, device="cpu").model
    assert "hf_device_map" not in vars(model)
    with pytest.raises(
        (NotImplementedError, RuntimeError), match="meta"
    ):  # the check of the values is the first to look at any
        load_language_model(directory, device="meta")


def test_casting_copies_no_weight_in_the_old_precision(tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise AssertionError("a weight was copied to be cast")

    before = copy.deepcopy(tiny_lm.model.state_dict())
    with monkeypatch.context() as patched:
        patched.setattr(torch.nn.Parameter, "__deepcopy__", refused)
        cast = cast_weights(tiny_lm.model, torch.bfloat16)
    assert cast.lm_head.weight is cast.model.embed_tokens.weight
    assert all(torch.equal(weights, before[name]) for name, weights in tiny_lm.model.state_dict().items())
