"""`X.model@engine` of every kind: its faults, what is told without the extras, one word that switches all models."""

import sys
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import CatalogProtocol, DataCatalog, DatasetError, Version
from kedro.pipeline import Node, Pipeline

from cai_kedro.datasets.engine_dataset import EngineDataset
from cai_kedro.datasets.engine_kinds import KINDS, engine_kind
from cai_kedro.datasets.model_checkpoint_dataset import ModelCheckpointDataset
from cai_kedro.datasets.snapshots_dataset import SnapshotEnginesDataset
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_reference import ModelReference, reference_to
from cai_kedro.hooks.faults import PreflightError
from cai_kedro.hooks.preflight import Preflight
from tests.project_copy import PROJECT

NAME = "pretrained.model@engine"
TRANSFORMERS = {"kind": "transformers", "device": "cpu", "dtype": "float32", "max_batch_tokens": 512}
VLLM = {"kind": "vllm", "dtype": "bfloat16", "gpu_memory_utilization": 0.9, "max_model_len": 512}
CLUSTER = {"address": "auto", "workers": 2, "cpus": 1, "gpus": 0, "block_prompts": 8}
RAY = {"kind": "ray", "worker": TRANSFORMERS, "cluster": CLUSTER, "scratch": "scratch"}
SERVER = {
    "kind": "server", "base_url": "http://127.0.0.1:9/v1", "model": "m", "api": "completions", "logprobs": "echo",
    "top_logprobs": 20, "prompt_prefix": "", "extra_body": {}, "concurrency": 2, "timeout_s": 5, "max_retries": 0,
    "stalled_after_s": 5,
}  # fmt: skip
WITHOUT = {
    "vllm": r"needs the package 'vllm': pip install .*\[gpu\]",
    "ray": r"needs the package 'ray' on every machine: pip install .*\[cluster\]",
    "server": r"needs the package 'openai': pip install .*\[client\]",
}
OF_KIND = {"transformers": TRANSFORMERS, "vllm": VLLM, "ray": RAY, "server": SERVER}


def dataset(folder: Path, engine: dict[str, Any]) -> EngineDataset:
    return EngineDataset(filepath=folder / "m", engine=engine)


@pytest.fixture
def without_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ray", "vllm", "openai"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("ray_engine", "ray_cluster", "ray_source", "openai_engine", "server"):
        monkeypatch.delitem(sys.modules, f"cai_kedro.engines.{name}", raising=False)


@pytest.mark.parametrize(
    ("engine", "match"),
    [
        ({**TRANSFORMERS, "max_batch_tokens": 0}, r"max_batch_tokens .*greater than or equal to 1 \(got 0\)"),
        ({**TRANSFORMERS, "max_model_len": 3}, "the engine's max_model_len is unknown; correct the entry or globals"),
        ({**VLLM, "max_model_len": 1}, "max_model_len"),
        ({**VLLM, "gpus": 2}, "gpus is unknown"),
        ({**RAY, "worker": {**TRANSFORMERS, "dtype": "auto"}}, "'float32' or 'bfloat16'"),  # each would decide itself
        ({**RAY, "worker": {**VLLM, "kind": "tgi"}}, "tgi"),
        ({**RAY, "cluster": {**CLUSTER, "workers": 0}}, r"cluster\.workers"),
        ({**RAY, "cluster": {**CLUSTER, "wrokers": 3}}, r"cluster\.wrokers is unknown"),
        ({**SERVER, "concurency": 3}, "concurency is unknown"),
        ({**SERVER, "api": "responses"}, "api Input should be 'completions' or 'chat'"),
        ({"kind": "server"}, "base_url is missing; model is missing"),
        ({**TRANSFORMERS, "kind": "transformer"}, "kind is 'transformer'; did you mean transformers"),
        ({"device": "cpu"}, "kind is None; expected one of transformers, vllm, ray, server"),
    ],
)
def test_a_wrong_engine_is_told(tmp_path: Path, engine: dict[str, Any], match: str) -> None:
    with pytest.raises(DatasetError, match=match):
        dataset(tmp_path, engine)


@pytest.mark.usefixtures("without_extras")
@pytest.mark.parametrize("kind", WITHOUT)
def test_an_extra_is_asked_for_where_it_is_needed(tmp_path: Path, tiny_lm: LanguageModel, kind: str) -> None:
    ModelCheckpointDataset(filepath=tmp_path / "m").save(tiny_lm)
    entry = dataset(tmp_path, OF_KIND[kind])  # no extra yet
    with pytest.raises(DatasetError, match=WITHOUT[kind]):
        entry.load()


@pytest.mark.usefixtures("without_extras")
@pytest.mark.parametrize("kind", ["ray", "server"])
def test_a_run_is_refused_without_the_extra(tmp_path: Path, tiny_lm: LanguageModel, kind: str) -> None:
    ModelCheckpointDataset(filepath=tmp_path / "m").save(tiny_lm)
    pipeline = Pipeline([Node(lambda engine: engine, NAME, "out", name="n")])
    catalog = DataCatalog({NAME: dataset(tmp_path, OF_KIND[kind])})
    with pytest.raises(PreflightError, match=rf"the model '{NAME}': a model on a (cluster|server) {WITHOUT[kind]}"):
        Preflight().before_pipeline_run({"project_path": tmp_path}, pipeline, catalog)


@pytest.mark.parametrize("kind", OF_KIND)
def test_engines_are_not_saved(tmp_path: Path, kind: str) -> None:
    with pytest.raises(DatasetError, match="save the model as @checkpoint"):
        dataset(tmp_path, OF_KIND[kind]).save(object())


@pytest.mark.parametrize("kind", ["transformers", "vllm"])
def test_a_model_has_to_be_whole(tmp_path: Path, kind: str) -> None:
    (tmp_path / "m").mkdir()
    with pytest.raises(DatasetError, match=r"misses config\.json"):
        dataset(tmp_path, OF_KIND[kind]).load()
    with pytest.raises(DatasetError, match=f"an engine of the kind {kind} reads a model directory; give its filepath"):
        EngineDataset(engine=OF_KIND[kind])


def test_auto_is_a_device_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for there, device in ((False, "cpu"), (True, "cuda")):
        monkeypatch.setattr("torch.cuda.is_available", lambda there=there: there)
        assert engine_kind({**TRANSFORMERS, "device": "auto"}).described()["device"] == device


def test_snapshots_are_read_from_directories(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="snapshots are directories, which a server does not read"):
        SnapshotEnginesDataset(filepath=tmp_path / "s", engine=SERVER)


def test_what_another_machine_needs_to_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of the hub is fetched by each machine; a path is whole, whatever folder a worker runs in."""
    monkeypatch.chdir(tmp_path)
    assert reference_to(Path("m")) == ModelReference(path=str(tmp_path / "m"))
    for name, lies, told in (
        ("a", {"path": "models/mine"}, {"path": str(tmp_path / "models" / "mine")}),
        ("b", {"repo": "o/n", "revision": "0" * 40}, {"repo": "o/n", "revision": "0" * 40}),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "reference.json").write_text(ModelReference(**lies).model_dump_json(exclude_none=True))
        assert reference_to(Path(name)) == ModelReference(**told)


# the engines of conf


def catalog_of(env: str) -> CatalogProtocol:
    bootstrap_project(PROJECT)
    return KedroSession.create(PROJECT, env=env).load_context().catalog


@pytest.mark.parametrize("kind", KINDS)
def test_every_engine_of_conf_is_whole(kind: str) -> None:
    bootstrap_project(PROJECT)
    engines = KedroSession.create(PROJECT, env="cluster").load_context().config_loader["globals"]["engines"]
    assert engines[kind]["kind"] == kind
    assert isinstance(engine_kind(engines[kind]), KINDS[kind])


def test_one_word_switches_every_engine() -> None:
    for env, kind in (("base", "transformers"), ("cluster", "ray")):
        catalog = catalog_of(env)
        for name in ("pretrained", "sl_cai", "rl_cai.policy", "helpful_rlhf.policy"):
            engine, checkpoint = catalog[f"{name}.model@engine"], catalog[f"{name}.model@checkpoint"]
            assert isinstance(engine, EngineDataset)
            assert engine._describe()["engine"]["kind"] == kind
            assert engine._filepath == checkpoint._filepath
            assert engine._version == Version(None, engine._version.save)
            assert engine.metadata == checkpoint.metadata
    assert catalog["rl_cai.snapshots@engine"]._kind.described()["device"] == "cpu"
