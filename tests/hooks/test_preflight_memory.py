"""What cannot fit this machine is told before the run; of the model there is a config alone."""

import math
from pathlib import Path
from typing import Any

import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline
from transformers import LlamaConfig

from cai_kedro.datasets.engine_dataset import EngineDataset
from cai_kedro.engines.machine import memory_of
from cai_kedro.hooks.preflight_memory import memory_faults_of
from tests.project_copy import PROJECT

LOCAL = {"kind": "transformers", "device": "cpu", "dtype": "float32", "max_batch_tokens": 64}
VLLM = {"kind": "vllm", "dtype": "bfloat16", "gpu_memory_utilization": 0.5, "max_model_len": 64}


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    bootstrap_project(PROJECT)
    return dict(KedroSession.create(PROJECT, env="base").load_context().params)


def faults(parameters: dict[str, Any], place: Path, engine: dict[str, Any], **base: Any) -> list[str]:
    base_model = {**parameters["base_model"].model_dump(), "source": "path", "path": str(place), **base}
    catalog = DataCatalog(
        {
            "parameters": MemoryDataset({**parameters, "base_model": base_model}),
            "pretrained.model@engine": EngineDataset(filepath=str(place), engine=engine),
        }
    )
    nodes = [
        Node(lambda engine: None, "pretrained.model@engine", "answers", name="evaluation.answer"),
        Node(lambda start: None, "start", "policy", name="rl_cai.reinforce", tags="training"),
    ]
    return list(memory_faults_of(Pipeline(nodes), catalog, place))


def model(place: Path, layers: int) -> Path:
    LlamaConfig(hidden_size=4096, intermediate_size=14336, num_hidden_layers=layers).save_pretrained(place)
    return place


def test_a_training_and_an_engine_that_cannot_fit_are_told(parameters: dict[str, Any], tmp_path: Path) -> None:
    there = memory_of("cpu")
    assert there is not None
    layers = math.ceil(there / (4 * 200e6))  # a layer has more than 200 million weights
    training, engine = faults(parameters, model(tmp_path, layers), LOCAL)
    assert training.startswith("ppo of rl_cai of ")
    assert "; with training.adapter=qlora it needs " in training
    assert engine.startswith("an engine on ")
    assert " for its weights in float32, the memory has " in engine
    assert engine.endswith(": set engine_dtype to bfloat16, or take a smaller base model, or a device with more memory")
    (alone,) = faults(parameters, tmp_path, VLLM)
    assert alone == training, "there is no card here whose share could be too small"


def test_what_fits_or_tells_no_sizes_is_not_refused(parameters: dict[str, Any], tmp_path: Path) -> None:
    small = LlamaConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=4, vocab_size=99)
    small.save_pretrained(tmp_path)
    assert faults(parameters, tmp_path, LOCAL) == []
    assert faults(parameters, model(tmp_path / "large", 999), LOCAL, source="shipped") == []
    (tmp_path / "bare").mkdir()
    assert faults(parameters, tmp_path / "bare", LOCAL) == [], "its files are told by another check"
