"""The processes of a training on the machines of a running Ray cluster (extra `cluster`), by Ray Train.

Each does what a process on this machine does (`learning.worker`). They read and write the work folder, so every machine
has to see it under the same path. Ray gives each its place, tells it of the others, and ends all when one fails.
"""

import logging
import os
from pathlib import Path
from typing import Any

import ray
import torch
from ray.exceptions import RayError
from ray.train import FailureConfig, LoggingConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2.api.exceptions import TrainingFailedError

from cai_kedro.engines.ray_cluster import ClusterError, connect
from cai_kedro.engines.ray_settings import TrainingCluster
from cai_kedro.learning.children import fault_file
from cai_kedro.learning.processes import Processes
from cai_kedro.learning.ranks import SHARDING

logger = logging.getLogger(__name__)


def run_on_cluster(spec: Path, processes: Processes, device: str) -> None:
    """Run the processes of a training to their end.

    Raises `ClusterError` where there is no cluster or no room for all of them at a time, `ValueError` with the sentence
    of a process whose training stops, and `RuntimeError` with the error of one that ends otherwise.
    """
    cluster = processes.cluster
    assert cluster is not None
    connect(cluster)
    _check_room(processes.processes, cluster)
    trainer = TorchTrainer(
        _train,
        train_loop_config={"spec": str(spec.absolute()), "sharding": processes.sharding, "threads": cluster.cpus},
        torch_config=TorchConfig(backend="gloo" if device == "cpu" else "nccl"),
        scaling_config=ScalingConfig(
            num_workers=processes.processes,
            use_gpu=device != "cpu",
            resources_per_worker={"CPU": cluster.cpus, "GPU": cluster.gpus},
        ),
        run_config=RunConfig(
            name="ray",
            storage_path=str(spec.parent.absolute()),  # removed with the work folder
            failure_config=FailureConfig(max_failures=0),  # a run that is started again goes on from its checkpoint
            logging_config=LoggingConfig(log_level="WARNING"),
        ),
    )
    try:
        trainer.fit()
    except (RayError, TrainingFailedError) as error:
        for rank in range(processes.processes):
            if fault_file(spec, rank).is_file():
                raise ValueError(fault_file(spec, rank).read_text(encoding="utf-8")) from error
        raise RuntimeError(f"a process of this training on the cluster failed: {error}") from error


def _check_room(number: int, cluster: TrainingCluster) -> None:
    """Raise `ClusterError` where so many processes would wait for ever: all have to be there at a time."""
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    room = 0
    for has in machines:
        of_kinds = [int(has.get("CPU", 0) // cluster.cpus)]
        of_kinds += [int(has.get("GPU", 0) // cluster.gpus)] if cluster.gpus else []
        room += min(of_kinds)
    if room < number:
        raise ClusterError(
            f"the cluster at {cluster.address!r} has room for {room} processes of {cluster.cpus} CPU cores and "
            f"{cluster.gpus:g} GPUs, and a training takes {number}; lower training.processes, or start more machines"
        )


def _train(told: dict[str, Any]) -> None:
    """Do the work of one process, on its machine."""
    from cai_kedro.learning import ranks  # noqa: PLC0415 - on the worker
    from cai_kedro.learning.worker import log_to_stdout, work  # noqa: PLC0415

    os.environ[SHARDING] = told["sharding"]
    torch.set_num_threads(told["threads"])
    log_to_stdout()
    spec = Path(told["spec"])
    try:
        work(spec)
    except ValueError as fault:
        fault_file(spec, ranks.rank()).write_text(str(fault), encoding="utf-8")
        raise
