"""A GGUF file becomes a model directory: the same weights, tokens and template, quantised or not."""

import json
import sys
from pathlib import Path

import pytest
import torch
import yaml
from kedro.io import DatasetError, Version

from cai_kedro.datasets.model_checkpoint_dataset import ModelCheckpointDataset
from cai_kedro.engines.gguf_file import GGUFFile
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.hooks.preflight_checks import model_faults
from cai_kedro.pipelines.base_model.nodes import BaseModelParams, provide_pretrained
from tests.project_copy import PROJECT

TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
TEXT = "How do I paint a fence, then?"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, _tiny_lm: LanguageModel) -> Path:
    """The tiny model as a GGUF file of 8-bit blocks."""
    pytest.importorskip("gguf", reason="gguf is not installed")
    from tests.gguf_file import write_byte_level  # noqa: PLC0415 - needs gguf

    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_byte_level(_tiny_lm, path, TEMPLATE)
    return path


def test_a_file_becomes_a_plain_directory(written: Path, tmp_path: Path, tiny_lm: LanguageModel) -> None:
    dataset = ModelCheckpointDataset(filepath=tmp_path / "pretrained", version=Version(None, "v1"))
    dataset.save(GGUFFile(str(written)))
    (directory,) = (tmp_path / "pretrained").glob("v1/pretrained")
    assert "quantization_config" not in json.loads((directory / "config.json").read_text())
    assert (directory / "model.safetensors").is_file()
    loaded = dataset.load()
    assert loaded.tokenizer.chat_template == TEMPLATE
    ids = tiny_lm.tokenizer(TEXT)["input_ids"]
    assert loaded.tokenizer(TEXT)["input_ids"] == ids
    assert loaded.tokenizer.eos_token_id == tiny_lm.tokenizer.eos_token_id != loaded.tokenizer.pad_token_id
    with torch.no_grad():
        logits, own = (lm.model(torch.tensor([ids])).logits[..., : len(tiny_lm.tokenizer)] for lm in (loaded, tiny_lm))
    # 8 bits a weight: about the same model, and far from another one
    assert (logits - own).abs().mean() < 0.05 * own.std()
    loaded.model.train()(torch.tensor([ids]), labels=torch.tensor([ids])).loss.backward()  # and it can be trained
    assert loaded.model.get_input_embeddings().weight.grad.abs().sum() > 0


def test_a_plan_reads_the_same_model(written: Path, tmp_path: Path) -> None:
    dataset = ModelCheckpointDataset(filepath=tmp_path / "m")
    dataset.save(GGUFFile(written.name).at(written.parent))
    ids = torch.tensor([[5, 9, 40, 7]])
    with torch.no_grad():
        torch.testing.assert_close(GGUFFile(str(written)).load().model(ids).logits, dataset.load().model(ids).logits)


def test_a_resource_of_a_package_is_found_without_importing_it(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "models_in_a_wheel"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('needs much more than the file')")
    (package / "tiny.gguf").write_bytes(written.read_bytes())
    monkeypatch.syspath_prepend(str(tmp_path))
    assert GGUFFile("models_in_a_wheel:tiny.gguf").at(Path("/project")).path() == package / "tiny.gguf"
    assert "models_in_a_wheel" not in sys.modules


def test_what_is_no_such_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "not.gguf").write_bytes(b"PK\x03\x04")
    for given, told in (
        ("none.gguf", "there is no file .*none.gguf; give a GGUF file by its path or by package:resource"),
        ("not.gguf", "not.gguf is no GGUF file: it does not begin with GGUF"),
        (
            "no_such_package_here:m.gguf",
            r"the package 'no_such_package_here' of .* is not installed; .*no-such-package-here\)",
        ),
    ):
        with pytest.raises(ValueError, match=told):
            GGUFFile(given).at(tmp_path).check()
        (fault,) = model_faults({"source": "gguf", "gguf": given}, tmp_path)
        assert fault.startswith("base_model.gguf: ")


def test_a_damaged_file_leaves_nothing(written: Path, tmp_path: Path) -> None:
    (tmp_path / "half.gguf").write_bytes(written.read_bytes()[:4000])
    dataset = ModelCheckpointDataset(filepath=tmp_path / "m", version=Version(None, "v1"))
    with pytest.raises(DatasetError, match=r"half\.gguf cannot be read"):
        dataset.save(GGUFFile(str(tmp_path / "half.gguf")))
    assert not dataset.exists()


def test_the_package_that_reads_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"read by the package gguf: pip install .*\[english\]"):
        GGUFFile(str(tmp_path / "m.gguf")).check()


def test_the_source_is_a_parameter() -> None:
    conf = yaml.safe_load((PROJECT / "conf" / "base" / "parameters_base_model.yml").read_text())["base_model"]
    conf["checkpoints"] = None  # a name of globals.yml there
    given, curves = provide_pretrained(BaseModelParams(**{**conf, "source": "gguf", "gguf": "a.gguf"}), seed=0)
    assert given == GGUFFile("a.gguf")
    assert curves.empty
    with pytest.raises(
        ValueError, match=r"add --params=model=.* or set base_model\.gguf, because base_model\.source is `gguf`"
    ):
        BaseModelParams(**{**conf, "source": "gguf"})
