"""A model with an adapter that was trained elsewhere, on a model with the very same weights."""

import json
import shutil
from pathlib import Path

import pytest
from kedro.io import DatasetError
from torch import Tensor

from cai_kedro.datasets.model_checkpoint_dataset import ModelCheckpointDataset
from cai_kedro.engines.adapted_model import AdaptedModel, adapter_directory
from cai_kedro.engines.gguf_file import GGUFFile
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import save_language_model
from cai_kedro.engines.model_reference import ModelReference
from tests.engines.test_adapter_files import adapter_on
from tests.gguf_file import write_micro_lm
from tests.models.test_adapters import assert_close, logits


@pytest.fixture
def base(tiny_lm: LanguageModel, tmp_path: Path) -> Path:
    save_language_model(tiny_lm, tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def adapter(base: Path, tmp_path: Path) -> Path:
    """An adapter whose backbone was moved away, so that its path leads nowhere."""
    (tmp_path / "elsewhere").mkdir()
    adapter_on(base, tmp_path / "elsewhere" / "taught")
    shutil.move(base, tmp_path / "moved")
    return tmp_path / "elsewhere" / "taught"


def taught(tmp_path: Path) -> Tensor:
    """Return what the model with the adapter says, read in the way in which it was trained."""
    return adapter_on(tmp_path / "moved", tmp_path / "again")


def test_it_knows_its_model_wherever_that_lies(adapter: Path, tmp_path: Path) -> None:
    lm = AdaptedModel(ModelReference(path="moved"), Path("elsewhere/taught")).at(tmp_path).load()
    assert (lm.origin, lm.adapter) == (None, None)
    assert_close(logits(lm), taught(tmp_path))


def test_the_catalog_writes_a_whole_model(adapter: Path, tmp_path: Path) -> None:
    dataset = ModelCheckpointDataset(filepath=str(tmp_path / "pretrained"))
    dataset.save(AdaptedModel(ModelReference(path=str(tmp_path / "moved")), adapter))
    assert not (tmp_path / "pretrained" / "backbone.json").exists()
    assert_close(logits(dataset.load()), taught(tmp_path))


def test_a_model_of_other_weights_is_told(adapter: Path, tiny_lm: LanguageModel, tmp_path: Path) -> None:
    tiny_lm.model.model.norm.weight.data[0] += 1
    save_language_model(tiny_lm, tmp_path / "other")
    model = AdaptedModel(ModelReference(path=str(tmp_path / "other")), adapter)
    with pytest.raises(ValueError, match=r"was trained on another model \(sha256 .*…\) than the one in .*other \("):
        model.load()
    known = json.loads((adapter / "backbone.json").read_text())
    (adapter / "backbone.json").write_text(json.dumps({**known, "name": "tiny.gguf of tiny-wheel==0.1.2"}))
    dataset = ModelCheckpointDataset(filepath=str(tmp_path / "pretrained"))
    with pytest.raises(DatasetError, match=r"another model, tiny\.gguf of tiny-wheel==0\.1\.2 \(sha256"):
        dataset.save(model)
    assert not (tmp_path / "pretrained").exists()


def test_of_a_gguf_file_the_weights_are_compared_as_they_are_read(tmp_path: Path) -> None:
    write_micro_lm(tmp_path / "micro.gguf")
    GGUFFile(str(tmp_path / "micro.gguf"), "hh").write(tmp_path / "written")
    expected = adapter_on(tmp_path / "written", tmp_path / "taught")
    model = AdaptedModel(GGUFFile("micro.gguf", "hh"), Path("taught")).at(tmp_path)
    model.check()
    assert_close(logits(model.load()), expected)


def test_what_is_not_there_is_told(base: Path, tmp_path: Path) -> None:
    model = AdaptedModel(ModelReference(path=str(base)), tmp_path / "nowhere")
    with pytest.raises(
        ValueError, match=r"there is no adapter in .*nowhere; make one with `kedro run --pipelines=teach"
    ):
        model.check()
    with pytest.raises(ValueError, match=r"the package 'no_such_wheel' of .* is not installed"):
        AdaptedModel(GGUFFile("no_such_wheel:model.gguf"), tmp_path).check()


def test_of_versions_the_newest_is_taken(adapter: Path, tmp_path: Path) -> None:
    folder = tmp_path / "06_models" / "taught"
    for version in ("2026-01-02T00.00.00.000Z", "2026-01-10T00.00.00.000Z"):
        shutil.copytree(adapter, folder / version / "taught")
    assert adapter_directory(folder) == folder / "2026-01-10T00.00.00.000Z" / "taught"
    (folder / "2026-01-10T00.00.00.000Z" / "taught" / "adapter_model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"2026-01-10.* misses adapter_model\.safetensors"):
        adapter_directory(folder)
