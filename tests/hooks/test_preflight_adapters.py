"""What keeps adapters from being trained or read is told before the run, each in one sentence."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

from cai_kedro.datasets.engine_dataset import EngineDataset
from cai_kedro.datasets.model_checkpoint_dataset import ModelCheckpointDataset
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import save_language_model
from cai_kedro.hooks.preflight_adapters import adapter_faults
from cai_kedro.models import adapters
from tests.lineages import FILE

VLLM = {"kind": "vllm", "dtype": "bfloat16", "gpu_memory_utilization": 0.5, "max_model_len": 64}
RAY = {
    "kind": "ray",
    "worker": VLLM,
    "cluster": {"address": "auto", "workers": 1, "cpus": 1, "gpus": 1, "block_prompts": 4},
    "scratch": "ray",
}
LINEAGE = yaml.safe_load(FILE.read_text(encoding="utf-8"))["lineage"]
BASE_MODEL = yaml.safe_load((FILE.parent / "parameters_base_model.yml").read_text(encoding="utf-8"))["base_model"]
LOCAL = {"kind": "transformers", "device": "cpu", "dtype": "float32", "max_batch_tokens": 64}


def faults(tmp_path: Path, adapter: str, engine: dict[str, Any], algorithm: str = "ppo", **lora: Any) -> list[str]:
    lineage = {**LINEAGE, "algorithm": algorithm}
    training = {
        "adapter": adapter,
        "lora": {"rank": 2, "alpha": 4.0, "targets": None, **lora},
        "processes": 1,
        "sharding": "none",
    }
    base = {**BASE_MODEL, "checkpoints": None, "source": "path", "path": str(tmp_path / "base")}
    catalog = DataCatalog(
        {
            "params:training": MemoryDataset(training),
            "params:base_model": MemoryDataset(base),
            "parameters": MemoryDataset({"lineage": lineage}),
            "rl_cai.snapshots@checkpoint": MemoryDataset(),
            "rl_cai.policy.model@checkpoint": ModelCheckpointDataset(filepath=str(tmp_path / "rl_cai")),
            "rl_cai.policy.model@engine": EngineDataset(filepath=str(tmp_path / "rl_cai"), engine=engine),
        }
    )
    nodes = [
        Node(lambda params: None, "params:base_model", "pretrained.model@checkpoint", name="provide"),
        Node(
            lambda start, training: None,
            ["pretrained.model@checkpoint", "params:training"],
            "rl_cai.snapshots@checkpoint",
            name="reinforce",
        ),
        Node(lambda snapshots: None, "rl_cai.snapshots@checkpoint", "rl_cai.policy.model@checkpoint", name="keep"),
        Node(lambda policy: None, "rl_cai.policy.model@engine", "answers", name="answer"),
    ]
    return list(adapter_faults(Pipeline(nodes), catalog, tmp_path))


@pytest.fixture(autouse=True)
def _base(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    save_language_model(tiny_lm, tmp_path / "base")


def test_nothing_is_wrong_with_whole_models_or_with_adapters_that_can_be_trained(tmp_path: Path) -> None:
    assert faults(tmp_path, "none", RAY, "rloo", targets=["nowhere"]) == []
    assert faults(tmp_path, "lora", LOCAL) == faults(tmp_path, "lora", VLLM) == []
    assert faults(tmp_path, "lora", LOCAL, targets=["q_proj"]) == []


def test_a_target_that_no_layer_has_is_told(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "lora", LOCAL, targets=["c_attn"])
    assert "pretrained: training.lora.targets names 'c_attn', and no linear layer of LlamaForCausalLM" in fault


def test_an_algorithm_that_trains_no_adapter_is_told(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "lora", LOCAL, "grpo")
    assert fault.startswith("the policy 'rl_cai' learns by grpo, which trains no adapter; take ppo or dpo")


def test_an_engine_that_reads_no_adapter_is_told(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, "lora", RAY)
    assert fault.startswith("training.adapter makes 'rl_cai.policy.model' an adapter, which its engine does not read")


def stage_faults(tmp_path: Path, engine: dict[str, Any], adapter: str = "lora", **lora: Any) -> list[str]:
    """Return what is told of stage 3 of SELF-ALIGN, whose training is its own."""
    stage = {"training": {"adapter": adapter, "lora": {"rank": 2, "alpha": 4.0, "targets": None, **lora}}}
    name = "self_align_engraved.model"
    base = {**BASE_MODEL, "checkpoints": None, "source": "path", "path": str(tmp_path / "base")}
    catalog = DataCatalog(
        {
            "params:self_align.engraving": MemoryDataset(stage),
            "params:base_model": MemoryDataset(base),
            "parameters": MemoryDataset({"lineage": LINEAGE}),
            f"{name}@checkpoint": ModelCheckpointDataset(filepath=str(tmp_path / "engraved")),
            f"{name}@engine": EngineDataset(filepath=str(tmp_path / "engraved"), engine=engine),
        }
    )
    nodes = [
        Node(lambda params: None, "params:base_model", "pretrained.model@checkpoint", name="provide"),
        Node(
            lambda start, params: None,
            ["pretrained.model@checkpoint", "params:self_align.engraving"],
            f"{name}@checkpoint",
            name="engrave",
        ),
        Node(lambda policy: None, f"{name}@engine", "answers", name="answer"),
    ]
    return list(adapter_faults(Pipeline(nodes), catalog, tmp_path))


def test_a_stage_of_self_align_is_told_by_its_own_block(tmp_path: Path) -> None:
    assert stage_faults(tmp_path, LOCAL, targets=["q_proj", "o_proj"]) == []
    assert stage_faults(tmp_path, RAY, "none", targets=["nowhere"]) == []
    (fault,) = stage_faults(tmp_path, LOCAL, targets=["c_attn"])
    assert fault.startswith("pretrained: self_align.engraving.training.lora.targets names 'c_attn', and no linear")
    (fault,) = stage_faults(tmp_path, RAY)
    assert fault.startswith("self_align.engraving.training.adapter makes 'self_align_engraved.model' an adapter")


def test_qlora_without_its_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "find_spec", lambda name: None)
    (fault,) = faults(tmp_path, "qlora", LOCAL)
    assert fault.startswith("training.adapter is `qlora`, which needs the package 'bitsandbytes': pip install")
    (fault,) = stage_faults(tmp_path, LOCAL, "qlora")
    assert fault.startswith("self_align.engraving.training.adapter is `qlora`, which needs")
    monkeypatch.setattr(adapters, "find_spec", lambda name: object())
    (fault,) = faults(tmp_path, "qlora", LOCAL)
    assert "q_proj of LlamaForCausalLM reads 32 numbers; expected a multiple of 64" in fault
    # all that is said of an adapter is said of one on 4 bits
    assert len(faults(tmp_path, "qlora", RAY, "grpo")) == 3
