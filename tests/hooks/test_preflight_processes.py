"""What keeps trainings from sharing their batches over processes is told before the run, each in one sentence."""

from typing import Any

import pytest
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Node, Pipeline

from cai_kedro.hooks.preflight_processes import process_faults_of
from tests.project_copy import PROJECT

NODES = ("sl_cai.fine_tune", "rl_cai.fit_preference_model", "rl_cai.reinforce")


@pytest.fixture(scope="module")
def parameters() -> dict[str, Any]:
    bootstrap_project(PROJECT)
    return dict(KedroSession.create(PROJECT, env="base").load_context().params)


def faults(parameters: dict[str, Any], *nodes: str, **training: Any) -> list[str]:
    given = parameters["training"]
    block = (given if isinstance(given, dict) else given.model_dump()) | training
    catalog = DataCatalog(
        {"parameters": MemoryDataset(parameters | {"training": block}), "params:training": MemoryDataset(block)}
    )
    pipeline = Pipeline([Node(lambda _: None, "params:training", f"of_{n}", name=name) for n, name in enumerate(nodes)])
    return list(process_faults_of(pipeline, catalog))


def test_one_process_has_no_faults_and_two_share_the_batches_of_base(parameters: dict[str, Any]) -> None:
    assert faults(parameters, *NODES) == []
    assert faults(parameters, *NODES, processes=2) == []


def test_more_processes_than_rows_are_told_for_each_training_of_the_run(parameters: dict[str, Any]) -> None:
    told = faults(parameters, *NODES, processes=65)
    assert [fault[: fault.index(" is ", 30)] for fault in told] == [
        "training.processes is 65, and sl_cai.fine_tuning.batch_size",
        "training.processes is 65, and rlhf.preference.batch_size",
        "training.processes is 65, and rlhf.rl.ppo.minibatch_size",
    ]
    assert len(faults(parameters, NODES[0], processes=65)) == 1


def test_an_algorithm_for_one_process_and_rewards_by_the_labeller_are_told(parameters: dict[str, Any]) -> None:
    lineage = parameters["lineage"]
    arm = lineage["policies"]["rl_cai"]
    policies = {**lineage["policies"], "rl_cai": {**arm, "algorithm": "grpo"}}
    (fault,) = faults(parameters | {"lineage": {**lineage, "policies": policies}}, NODES[2], processes=2)
    assert fault.startswith("the policy 'rl_cai' learns by grpo, which trains on one process; take ppo or dpo, or set")


def test_a_model_shared_out_without_gpus_is_told(parameters: dict[str, Any]) -> None:
    (fault,) = faults(parameters, NODES[0], processes=2, sharding="fsdp")
    assert "which shares a model out over several GPUs, and the device is cpu with 2 processes" in fault
