"""An adapter on disk is read back as it was trained, by peft too, and refuses a backbone that is another one."""

import json
from pathlib import Path

import pytest
import torch
from kedro.io import DatasetError
from torch import Tensor

from cai_kedro.datasets.model_checkpoint_dataset import ModelCheckpointDataset
from cai_kedro.datasets.model_digest_dataset import ModelDigestDataset
from cai_kedro.datasets.snapshots_dataset import SnapshotsDataset
from cai_kedro.delivery.model_directory import write_model_directory
from cai_kedro.engines.base import Sampling
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import load_language_model, save_language_model
from cai_kedro.engines.model_reference import ModelReference, load_model, model_digest, save_model, write_reference
from cai_kedro.learning.preference import score_token_ids, with_score_head
from cai_kedro.models.adapters import copy_with, prepared, trained
from cai_kedro.models.weights import trained_weights
from tests.adapters import LORA, WHOLE
from tests.models.test_adapters import assert_close, changed, logits


@pytest.fixture
def base(tiny_lm: LanguageModel, tmp_path: Path) -> Path:
    save_language_model(tiny_lm, tmp_path / "base")
    return tmp_path / "base"


def adapter_on(backbone: Path, directory: Path, seed: int = 0) -> Tensor:
    """Write an adapter on a model; return what the model with it says."""
    lm = trained(changed(prepared(load_model(backbone), LORA, seed), seed))
    save_model(lm, directory)
    return logits(lm)


def test_an_adapter_is_read_as_it_was_trained(base: Path, tmp_path: Path) -> None:
    expected = adapter_on(base, tmp_path / "a")
    assert {file.name for file in (tmp_path / "a").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "backbone.json",
    }
    lm = load_model(tmp_path / "a")
    assert_close(logits(lm), expected)
    assert lm.origin == tmp_path / "a"
    assert json.loads((tmp_path / "a" / "backbone.json").read_text())["path"] == "../base"
    # what was read and not trained is written again as it is
    save_model(lm, tmp_path / "again")
    assert model_digest(tmp_path / "again") == model_digest(tmp_path / "a") != model_digest(base)
    assert_close(logits(load_model(tmp_path / "again")), expected)


def test_peft_reads_it_too(base: Path, tmp_path: Path) -> None:
    from peft import PeftModel  # noqa: PLC0415 - slow to import

    expected = adapter_on(base, tmp_path / "a")
    lm = load_language_model(base)
    theirs = PeftModel.from_pretrained(lm.model, tmp_path / "a")
    assert_close(theirs(torch.arange(2, 30)[None]).logits, expected)


def test_what_is_exported_is_a_whole_model(base: Path, tmp_path: Path) -> None:
    expected = adapter_on(base, tmp_path / "a")
    sampling = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=4)
    write_model_directory(load_model(tmp_path / "a"), tmp_path / "out", sampling)
    exported = load_language_model(tmp_path / "out")
    assert exported.adapter is None
    assert not torch.allclose(logits(exported), logits(load_language_model(base)), atol=1.0)
    torch.testing.assert_close(logits(exported), expected, atol=1.0, rtol=0.1)  # rounded to bfloat16


def test_an_adapter_on_an_adapter(base: Path, tmp_path: Path) -> None:
    first = adapter_on(base, tmp_path / "first")
    second = adapter_on(tmp_path / "first", tmp_path / "second", 1)
    assert not torch.allclose(first, second)
    assert_close(logits(load_model(tmp_path / "second")), second)
    # trained whole, it is a model of its own again
    whole = trained(changed(prepared(load_model(tmp_path / "second"), WHOLE, 0), 2))
    save_model(whole, tmp_path / "whole")
    assert_close(logits(load_language_model(tmp_path / "whole")), logits(whole))


def test_a_preference_model_has_its_head_in_the_file(base: Path, tmp_path: Path) -> None:
    lm = prepared(load_model(base), LORA, 0)
    scorer = trained(changed(LanguageModel(with_score_head(lm, 0.5, 0), lm.tokenizer, adapter=lm.adapter)))
    ids = [[1, 5, 9, 1], [1, 7, 1]]
    expected = score_token_ids(scorer.model, ids, 0, 2)
    save_model(scorer, tmp_path / "pm")
    again = load_model(tmp_path / "pm")
    assert_close(score_token_ids(again.model, ids, 0, 2), expected)
    assert expected.abs().max() > 0.1


def test_the_backbone_may_be_a_reference(base: Path, tmp_path: Path) -> None:
    write_reference(ModelReference(path=str(base)), tmp_path / "pretrained")
    expected = adapter_on(tmp_path / "pretrained", tmp_path / "a")
    assert_close(logits(load_model(tmp_path / "a")), expected)
    assert json.loads((tmp_path / "a" / "backbone.json").read_text())["path"] == "../pretrained"


def test_both_may_be_moved_together(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    save_language_model(tiny_lm, tmp_path / "here" / "base")
    expected = adapter_on(tmp_path / "here" / "base", tmp_path / "here" / "a")
    (tmp_path / "here").rename(tmp_path / "there")
    assert_close(logits(load_model(tmp_path / "there" / "a")), expected)


def test_another_backbone_is_refused(base: Path, tmp_path: Path) -> None:
    adapter_on(base, tmp_path / "a")
    save_language_model(changed(load_language_model(base)), base)
    told = r"a is an adapter on another model than the one that lies in .*base now.*put that one back"
    for read in (load_model, lambda place: ModelReference(path=str(place)).directory()):
        with pytest.raises(ValueError, match=told):
            read(tmp_path / "a")


def test_a_missing_backbone_is_refused(base: Path, tmp_path: Path) -> None:
    adapter_on(base, tmp_path / "a")
    base.rename(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=r"an adapter on the model in .*base, which is not there: put it back"):
        load_model(tmp_path / "a")


def test_a_damaged_adapter_is_refused(base: Path, tmp_path: Path) -> None:
    adapter_on(base, tmp_path / "a")
    weights = tmp_path / "a" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(ValueError, match="cut off or damaged"):
        load_model(tmp_path / "a")
    weights.unlink()
    with pytest.raises(ValueError, match=r"misses adapter_model.safetensors"):
        load_model(tmp_path / "a")


def test_an_adapter_on_a_model_that_was_never_saved_is_not_written(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a model that was never saved; save that one first"):
        save_model(trained(prepared(tiny_lm, LORA, 0)), tmp_path / "a")


def test_who_reads_no_adapters_says_so(base: Path, tmp_path: Path) -> None:
    adapter_on(base, tmp_path / "a")
    assert ModelReference(path=str(base)).whole_directory() == base
    with pytest.raises(ValueError, match="an engine on a cluster does not read"):
        ModelReference(path=str(tmp_path / "a")).whole_directory()


def test_the_catalog_writes_adapters(base: Path, tmp_path: Path) -> None:
    lm = changed(prepared(load_model(base), LORA, 0))
    early = copy_with(lm, trained_weights(lm.model))
    last = trained(changed(lm, 1))
    snapshots = SnapshotsDataset(filepath=str(tmp_path / "models" / "arm_snapshots"))
    snapshots.save({1: early, 2: last})
    kept = snapshots.load()[1]
    assert_close(logits(kept), logits(early))
    policy = ModelCheckpointDataset(filepath=str(tmp_path / "models" / "arm.policy"))
    policy.save(kept)
    assert (tmp_path / "models" / "arm.policy" / "backbone.json").is_file()
    assert_close(logits(policy.load()), logits(early))
    digest = ModelDigestDataset(filepath=str(tmp_path / "models" / "arm.policy")).load()
    assert digest == model_digest(tmp_path / "models" / "arm_snapshots" / "step_000001")
    base.rename(tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match="which is not there"):
        policy.load()
