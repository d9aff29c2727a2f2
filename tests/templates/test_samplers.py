"""What keeps vLLM from drawing the replies of RL is told before the run, once."""

from typing import Any

import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from cai_kedro.engines.vllm_engine import VLLMSettings
from cai_kedro.templates import samplers
from cai_kedro.templates.samplers import sampler_faults
from tests.project_copy import PROJECT

VLLM = VLLMSettings(kind="vllm", dtype="bfloat16", gpu_memory_utilization=0.4, max_model_len=512)
NODES = {"rl_cai.reinforce", "rl_cai.measure_snapshots", "hh_rlhf.reinforce"}


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    bootstrap_project(PROJECT)
    return dict(KedroSession.create(PROJECT, env="base").load_context().params)


def with_sampler(parameters: dict[str, Any], processes: int = 1, **change: Any) -> dict[str, Any]:
    rlhf = parameters["rlhf"]
    ppo = rlhf.rl.ppo.model_copy(update={"sampler": VLLM, "device": "cuda", **change})
    rlhf = rlhf.model_copy(update={"rl": rlhf.rl.model_copy(update={"ppo": ppo})})
    return {**parameters, "rlhf": rlhf, "training": parameters["training"].model_copy(update={"processes": processes})}


def test_policies_that_draw_their_own_replies_need_nothing(parameters: dict[str, Any]) -> None:
    assert list(sampler_faults(parameters, NODES)) == []


def test_what_vllm_lacks_is_told_once(parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samplers, "find_spec", lambda name: None)
    (fault,) = sampler_faults(with_sampler(parameters), NODES)
    assert fault.startswith("rlhf.rl.ppo.sampler is vLLM, which needs the package 'vllm': pip install -e '.[gpu]'")
    assert list(sampler_faults(with_sampler(parameters), {"sl_cai.fine_tune"})) == []
    monkeypatch.setattr(samplers, "find_spec", lambda name: object())
    assert list(sampler_faults(with_sampler(parameters), NODES)) == []
    (fault,) = sampler_faults(with_sampler(parameters, device="cpu"), NODES)
    assert "samples on a GPU, and the training's device is cpu" in fault
    (fault,) = sampler_faults(with_sampler(parameters, processes=2), NODES)
    assert "samples in one process; set it to null, or training.processes to 1" in fault
    (fault,) = sampler_faults(with_sampler(parameters, max_new_tokens=511), NODES)
    assert "max_model_len of 512 has no room for a prompt and max_new_tokens=511" in fault
