import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from kedro.io import DatasetError, Version
from pydantic import ValidationError
from transformers import LlamaConfig, LlamaForSequenceClassification

from cai_kedro.core.conversation import HH_CHAT_TEMPLATE
from cai_kedro.datasets.engine_dataset import EngineDataset
from cai_kedro.datasets.model_checkpoint_dataset import ModelCheckpointDataset
from cai_kedro.datasets.snapshots_dataset import SnapshotEnginesDataset, SnapshotsDataset
from cai_kedro.engines.base import Sampling
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import check_model_directory, load_language_model
from cai_kedro.engines.model_reference import ModelReference
from cai_kedro.engines.transformers_engine import TransformersEngine
from tests.asks import plain

TOKENS = torch.tensor([[5, 9, 40, 7]])
ENGINE = {"kind": "transformers", "device": "cpu", "dtype": "float32", "max_batch_tokens": 512}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _logits(lm: LanguageModel) -> torch.Tensor:
    with torch.no_grad():
        return lm.model(TOKENS).logits


def test_a_causal_lm_comes_back_with_its_tokenizer(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    dataset = ModelCheckpointDataset(filepath=tmp_path / "sl_cai")
    dataset.save(tiny_lm)
    loaded = dataset.load()
    torch.testing.assert_close(_logits(loaded), _logits(tiny_lm))
    assert loaded.tokenizer("a b")["input_ids"] == tiny_lm.tokenizer("a b")["input_ids"]
    assert loaded.tokenizer.chat_template == HH_CHAT_TEMPLATE
    assert not loaded.model.training
    assert [file.name for file in tmp_path.rglob("*.bin")] == []


def test_half_a_model_of_a_dead_process_is_removed(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    half = tmp_path / "m" / "2026-01-01" / f".m.{socket.gethostname()}.{process.pid}.part"
    half.mkdir(parents=True)
    (half / "model.safetensors").write_bytes(b"half")
    ModelCheckpointDataset(filepath=tmp_path / "m", version=Version(None, "2026-01-02")).save(tiny_lm)
    assert not half.exists()


def test_every_load_is_a_fresh_object(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    dataset = ModelCheckpointDataset(filepath=tmp_path / "sl_cai")
    dataset.save(tiny_lm)
    first = dataset.load()
    with torch.no_grad():
        first.model.get_input_embeddings().weight.zero_()
    torch.testing.assert_close(_logits(dataset.load()), _logits(tiny_lm))


def test_a_preference_model_comes_back_as_one(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    config = LlamaConfig(**{**tiny_lm.model.config.to_dict(), "num_labels": 1})
    scorer = LanguageModel(model=LlamaForSequenceClassification(config).eval(), tokenizer=tiny_lm.tokenizer)
    dataset = ModelCheckpointDataset(filepath=tmp_path / "preference")
    dataset.save(scorer)
    assert isinstance(dataset.load().model, LlamaForSequenceClassification)
    torch.testing.assert_close(_logits(dataset.load()), _logits(scorer))


def test_saving_over_an_unversioned_directory_leaves_nothing_of_the_old(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    dataset = ModelCheckpointDataset(filepath=tmp_path / "m")
    dataset.save(tiny_lm)
    (tmp_path / "m" / "stale.txt").write_text("old")
    dataset.save(tiny_lm)
    assert not (tmp_path / "m" / "stale.txt").exists()
    assert [item.name for item in tmp_path.iterdir()] == ["m"]


def test_a_save_that_fails_leaves_no_version(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    class Broken(torch.nn.Module):
        def save_pretrained(self, directory: Path) -> None:
            (directory / "model.safetensors").write_bytes(b"half")
            raise OSError("disk full")

    dataset = ModelCheckpointDataset(filepath=tmp_path / "m", version=Version(None, "v1"))
    with pytest.raises(DatasetError, match="disk full"):
        dataset.save(LanguageModel(model=Broken(), tokenizer=tiny_lm.tokenizer))  # type: ignore[arg-type]
    assert not dataset.exists()
    assert list((tmp_path / "m" / "v1").iterdir()) == []


def test_a_reference_copies_nothing_and_loads_the_model(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    ModelCheckpointDataset(filepath=tmp_path / "original").save(tiny_lm)
    dataset = ModelCheckpointDataset(filepath=tmp_path / "pretrained", version=Version(None, "v1"))
    dataset.save(ModelReference(path=str(tmp_path / "original")))
    torch.testing.assert_close(_logits(dataset.load()), _logits(tiny_lm))
    assert not list((tmp_path / "pretrained").rglob("*.safetensors"))


def test_a_reference_to_an_incomplete_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    dataset = ModelCheckpointDataset(filepath=tmp_path / "pretrained")
    with pytest.raises(DatasetError, match=r"pretrained: the model directory .*empty misses config\.json; weights \("):
        dataset.save(ModelReference(path=str(tmp_path / "empty")))
    assert not dataset.exists()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "needs either a path or a repo"),
        ({"path": "a", "repo": "b", "revision": COMMIT}, "needs either a path or a repo"),
        ({"repo": "org/name"}, "a repo needs a revision, the 40 hexadecimal digits of one commit"),
        ({"path": "a", "revision": COMMIT}, "a path has none"),
        ({"repo": "org/name", "revision": "main"}, "should match pattern"),
    ],
)
def test_a_reference_is_a_path_or_a_pinned_repository(given: dict[str, str], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        ModelReference(**given)  # type: ignore[arg-type]


def test_a_hub_reference_fetches_the_pinned_revision(
    tmp_path: Path, tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    ModelCheckpointDataset(filepath=tmp_path / "cache").save(tiny_lm)
    asked: dict[str, Any] = {}

    def fetch(repo: str, revision: str, allow_patterns: list[str]) -> str:
        asked.update(repo=repo, revision=revision, patterns=allow_patterns)
        return str(tmp_path / "cache")

    monkeypatch.setattr("cai_kedro.engines.model_reference.snapshot_download", fetch)
    assert ModelReference(repo="org/name", revision=COMMIT).directory() == tmp_path / "cache"
    assert (asked["repo"], asked["revision"]) == ("org/name", COMMIT)
    assert "*.py" not in asked["patterns"]
    assert "*.bin" not in asked["patterns"]


@pytest.mark.parametrize(
    ("removed", "told"),
    [
        ("model.safetensors", r"misses weights \(model\.safetensors or model\.safetensors\.index\.json\); it holds"),
        ("config.json", r"misses config\.json; it holds"),
        ("tokenizer.json", r"misses a tokenizer \(tokenizer\.json or"),
    ],
)
def test_an_incomplete_directory_says_what_is_missing(
    tmp_path: Path, tiny_lm: LanguageModel, removed: str, told: str
) -> None:
    dataset = ModelCheckpointDataset(filepath=tmp_path / "m")
    dataset.save(tiny_lm)
    (tmp_path / "m" / removed).unlink()
    with pytest.raises(DatasetError, match=told):
        dataset.load()


def test_no_directory_at_all(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no model directory .*nowhere"):
        check_model_directory(tmp_path / "nowhere")


def test_another_architecture_is_refused(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    ModelCheckpointDataset(filepath=tmp_path / "m").save(tiny_lm)
    config = tmp_path / "m" / "config.json"
    config.write_text(config.read_text().replace("LlamaForCausalLM", "LlamaForTokenClassification"))
    with pytest.raises(ValueError, match=r"config\.json names the architecture LlamaForTokenClassification; expected"):
        load_language_model(tmp_path / "m")


def test_only_models_are_saved(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError, match="takes a LanguageModel, a ModelReference, a GGUFFile or an AdaptedModel, got dict"
    ):
        ModelCheckpointDataset(filepath=tmp_path / "m").save({})  # type: ignore[arg-type]


def test_an_engine_reads_what_the_checkpoint_wrote_in_the_same_run(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    path, version = tmp_path / "rl_cai.policy", Version(None, "v1")
    ModelCheckpointDataset(filepath=path, version=version).save(tiny_lm)
    dataset = EngineDataset(filepath=path, version=version, engine=ENGINE)
    engine = dataset.load()
    sampling = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=4)
    assert engine.generate(plain(["ab"]), sampling, [1]) == engine.generate(plain(["ab"]), sampling, [1])
    dataset.release()
    with pytest.raises(DatasetError, match="save the model as @checkpoint"):
        dataset.save(tiny_lm)  # type: ignore[arg-type]


def test_an_engine_on_an_incomplete_directory(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    with pytest.raises(DatasetError, match=r"misses config\.json"):
        EngineDataset(filepath=tmp_path / "m", engine=ENGINE).load()


def test_snapshots_come_back_by_step_and_lazily(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    dataset = SnapshotsDataset(filepath=tmp_path / "snapshots", version=Version(None, "v1"))
    dataset.save({20: tiny_lm, 0: tiny_lm})
    snapshots = dataset.load()
    assert list(snapshots) == [0, 20]
    torch.testing.assert_close(_logits(snapshots[20]), _logits(tiny_lm))
    assert snapshots[0] is not snapshots[0]


def test_an_arm_without_rl_has_no_snapshots(tmp_path: Path) -> None:
    dataset = SnapshotsDataset(filepath=tmp_path / "s")
    dataset.save({})
    assert dataset.exists()
    assert not dataset.load()
    assert dict(SnapshotEnginesDataset(filepath=tmp_path / "s", engine=ENGINE).load()) == {}


def test_snapshots_come_back_as_engines(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    SnapshotsDataset(filepath=tmp_path / "s").save({20: tiny_lm})
    dataset = SnapshotEnginesDataset(filepath=tmp_path / "s", engine=ENGINE)
    sampling = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=4)
    engines = dataset.load()
    assert list(engines) == [20]
    alone = TransformersEngine(tiny_lm, max_batch_tokens=512, dtype="float32")
    assert engines[20].generate(plain(["ab"]), sampling, [1]) == alone.generate(plain(["ab"]), sampling, [1])
    with pytest.raises(DatasetError, match="save the snapshots as @checkpoint"):
        dataset.save({20: tiny_lm})  # type: ignore[arg-type]


def test_snapshots_refuse_what_is_no_step(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    with pytest.raises(DatasetError, match=r"keyed by step \(0, 1, …\), got \[-1\]"):
        SnapshotsDataset(filepath=tmp_path / "s").save({-1: tiny_lm})
    (tmp_path / "s").mkdir()
    with pytest.raises(DatasetError, match=r"holds no steps\.json"):
        SnapshotsDataset(filepath=tmp_path / "s").load()


@pytest.mark.parametrize("kept", [0, 100, 0.5, 0.999])
def test_weights_that_were_cut_off_are_refused_before_they_are_read(
    tmp_path: Path, tiny_lm: LanguageModel, kept: float
) -> None:
    ModelCheckpointDataset(filepath=tmp_path / "m").save(tiny_lm)
    weights = tmp_path / "m" / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: int(kept if kept > 1 else kept * len(content))])
    with pytest.raises(ValueError, match=r"the weights .*model.safetensors are cut off or damaged .*make or fetch"):
        check_model_directory(tmp_path / "m")
    for dataset in (
        ModelCheckpointDataset(filepath=tmp_path / "m"),
        EngineDataset(filepath=tmp_path / "m", engine={**ENGINE, "dtype": "auto"}),
    ):
        with pytest.raises(DatasetError, match="cut off or damaged"):
            dataset.load()


# where references point


@pytest.fixture
def project(tmp_path: Path, tiny_lm: LanguageModel) -> Path:
    """A folder that is a Kedro project, with a model in `models/mine`."""
    folder = tmp_path / "project"
    (folder / "docs").mkdir(parents=True)
    (folder / "pyproject.toml").write_text('[tool.kedro]\npackage_name = "p"\nproject_name = "p"\n')
    ModelCheckpointDataset(filepath=folder / "models" / "mine").save(tiny_lm)
    return folder


@pytest.mark.parametrize("start", ["project", "project/docs", "."])
def test_a_relative_path_starts_at_the_project(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    monkeypatch.chdir(tmp_path / start)
    dataset = ModelCheckpointDataset(filepath=project / "data" / "pretrained")
    dataset.save(ModelReference(path="models/mine"))
    monkeypatch.chdir(tmp_path)
    assert isinstance(dataset.load(), LanguageModel)


def test_a_path_may_start_at_home(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(project))
    dataset = ModelCheckpointDataset(filepath=project / "data" / "pretrained")
    dataset.save(ModelReference(path="~/models/mine"))
    assert isinstance(dataset.load(), LanguageModel)
    assert ModelReference(path="~/models/mine").directory() == project / "models" / "mine"


def test_the_home_of_a_user_who_is_not_there_is_told() -> None:
    for read in (ModelReference.locate, lambda reference: reference.at(Path("/project"))):
        with pytest.raises(
            ValueError, match="'~no-such-user/mine' starts in a home directory that is not known; write"
        ):
            read(ModelReference(path="~no-such-user/mine"))


def test_a_hub_that_is_out_of_reach_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    reference = ModelReference(repo="org/name", revision=COMMIT)
    for ask in (reference.check, reference.directory):
        with pytest.raises(ValueError, match=rf"org/name at {COMMIT} cannot be fetched from the hub \(LocalEntryNot"):
            ask()
    dataset = ModelCheckpointDataset(filepath=tmp_path / "m", version=Version(None, "v1"))
    # not Kedro's "a file with the same name already exists", which it makes of every file that is not found
    with pytest.raises(DatasetError, match="check network, name and HF_TOKEN, or copy it to this machine"):
        dataset.save(reference)
    assert not dataset.exists()
    assert [file for file in (tmp_path / "m").rglob("*") if file.is_file()] == []


# settings of engines


@pytest.mark.parametrize("kind", [EngineDataset, SnapshotEnginesDataset])
@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        (
            {"max_batch_tokens": "abc"},
            r"max_batch_tokens Input should be a valid integer.*\(got 'abc'\); correct the entry",
        ),
        ({"max_batch_tokens": 0}, r"max_batch_tokens Input should be greater than or equal to 1 \(got 0\)"),
        ({"dtype": "float8"}, r"dtype Input should be 'auto', 'float32' or 'bfloat16' \(got 'float8'\)"),
        ({"device": "gpu"}, r"device String should match pattern .*cuda.* \(got 'gpu'\)"),
    ],
)
def test_settings_of_engines_are_checked_by_name(
    tmp_path: Path, kind: type[EngineDataset], settings: dict[str, Any], fault: str
) -> None:
    right = {**ENGINE, "max_batch_tokens": "512"}
    with pytest.raises(DatasetError, match=f"the engine's {fault}"):
        kind(filepath=tmp_path / "m", engine={**right, **settings})
    kind(filepath=tmp_path / "m", engine=right)
