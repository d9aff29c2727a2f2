"""Models on vLLM and on a cluster as catalog entries: their faults, and what is told without the extras."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog, DatasetError, Version
from kedro.pipeline import Node, Pipeline

from cai_kedro.datasets.model_checkpoint_dataset import ModelCheckpointDataset
from cai_kedro.datasets.ray_engine_dataset import RayEngineDataset
from cai_kedro.datasets.vllm_engine_dataset import VLLMEngineDataset
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_reference import ModelReference, reference_to
from cai_kedro.engines.vllm_engine import VLLMSettings
from cai_kedro.hooks.faults import PreflightError
from cai_kedro.hooks.preflight import Preflight
from tests.project_copy import PROJECT

NAME = "pretrained.model@engine"
TRANSFORMERS = {"kind": "transformers", "device": "cpu", "dtype": "float32", "max_batch_tokens": 512}
VLLM = {"dtype": "bfloat16", "gpu_memory_utilization": 0.9, "max_model_len": 512}
CLUSTER = {"address": "auto", "workers": 2, "cpus": 1, "gpus": 0, "block_prompts": 8}
WITHOUT_RAY = r"needs the package 'ray' on every machine: pip install .*\[cluster\]"


def on_cluster(folder: Path, worker: dict[str, Any] = TRANSFORMERS, **changed: Any) -> RayEngineDataset:
    return RayEngineDataset(
        filepath=folder / "m", worker=worker, cluster={**CLUSTER, **changed}, scratch=folder / "scratch"
    )


@pytest.fixture
def without_extras(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ray", "vllm"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in ("ray_engine", "ray_cluster", "ray_source"):
        monkeypatch.delitem(sys.modules, f"cai_kedro.engines.{name}", raising=False)


@pytest.mark.parametrize(
    ("worker", "cluster", "match"),
    [
        ({**TRANSFORMERS, "dtype": "auto"}, {}, "'float32' or 'bfloat16'"),  # each machine would decide for itself
        ({**TRANSFORMERS, "max_model_len": 3}, {}, "max_model_len"),
        ({**VLLM, "kind": "tgi"}, {}, "tgi"),
        (TRANSFORMERS, {"workers": 0}, "workers"),
        (TRANSFORMERS, {"wrokers": 3}, "wrokers"),
    ],
)
def test_a_wrong_entry_is_told(tmp_path: Path, worker: dict[str, Any], cluster: dict[str, Any], match: str) -> None:
    with pytest.raises(DatasetError, match=match):
        on_cluster(tmp_path, worker, **cluster)


def test_a_wrong_entry_on_vllm_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="max_model_len"):
        VLLMEngineDataset(filepath=tmp_path / "m", **{**VLLM, "max_model_len": 1})
    with pytest.raises(DatasetError, match="gpus"):
        VLLMEngineDataset(filepath=tmp_path / "m", **VLLM, gpus=2)


@pytest.mark.usefixtures("without_extras")
def test_the_extras_are_asked_for(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    ModelCheckpointDataset(filepath=tmp_path / "m").save(tiny_lm)
    with pytest.raises(DatasetError, match=WITHOUT_RAY):
        on_cluster(tmp_path).load()
    with pytest.raises(DatasetError, match=r"needs the package 'vllm': pip install .*\[gpu\]"):
        VLLMEngineDataset(filepath=tmp_path / "m", **VLLM).load()


@pytest.mark.usefixtures("without_extras")
def test_a_run_is_refused_where_there_is_no_ray(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    ModelCheckpointDataset(filepath=tmp_path / "m").save(tiny_lm)
    pipeline = Pipeline([Node(lambda engine: engine, NAME, "out", name="n")])
    with pytest.raises(PreflightError, match=rf"the model '{NAME}': a model on a cluster {WITHOUT_RAY}"):
        Preflight().before_pipeline_run({"project_path": tmp_path}, pipeline, DataCatalog({NAME: on_cluster(tmp_path)}))


def test_engines_are_not_saved_and_need_a_whole_model(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    for dataset in (on_cluster(tmp_path), VLLMEngineDataset(filepath=tmp_path / "m", **VLLM)):
        with pytest.raises(DatasetError, match="save the model as @checkpoint"):
            dataset.save(object())
    with pytest.raises(DatasetError, match=r"misses config\.json"):
        VLLMEngineDataset(filepath=tmp_path / "m", **VLLM).load()


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


def test_the_environment_of_the_cluster_names_every_engine() -> None:
    bootstrap_project(PROJECT)
    catalog = KedroSession.create(PROJECT, env="cluster").load_context().catalog
    for name in ("pretrained", "sl_cai", "rl_cai.policy", "helpful_rlhf.policy"):
        engine, checkpoint = catalog[f"{name}.model@engine"], catalog[f"{name}.model@checkpoint"]
        assert isinstance(engine, RayEngineDataset)
        assert engine._filepath == checkpoint._filepath
        assert engine._version == Version(None, engine._version.save)


def test_the_commented_worker_of_conf_is_whole() -> None:
    text = (PROJECT / "conf" / "cluster" / "catalog.yml").read_text()
    lines = text[text.index("#   kind: vllm") :].split("\n\n")[0].split("\n")
    VLLMSettings(**yaml.safe_load("\n".join(line.removeprefix("#   ") for line in lines)))
