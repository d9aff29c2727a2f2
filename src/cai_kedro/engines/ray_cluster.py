"""Blocks of rows through Ray Data (extra `cluster`): its actors, its retries, its checkpoints."""

import logging
import socket
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import ray
from ray.data import ActorPoolStrategy, DataContext
from ray.data.checkpoint import CheckpointConfig
from ray.exceptions import RayError

from cai_kedro.engines.loading import TransformersSettings, VLLMSettings
from cai_kedro.engines.model_reference import ModelReference
from cai_kedro.engines.ray_blocks import BlockWorker
from cai_kedro.engines.ray_settings import Cluster, ClusterSettings
from cai_kedro.engines.ray_source import BlockSource

PROBE_SECONDS = 5.0


class ClusterError(RuntimeError):
    """What a cluster did not do, and what to do about it."""


def connect(cluster: Cluster) -> None:
    """Join the running cluster; raises `ClusterError` if there is none, or none of its machines can hold a worker."""
    if not ray.is_initialized():
        try:
            _probe(cluster.address)
            ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError) as error:
            raise ClusterError(
                f"there is no Ray cluster at {cluster.address!r} ({error}); start one with `ray start --head`, and run "
                f"on one of its machines (docs/guides/cluster.md)"
            ) from error
    logging.getLogger("ray.data").setLevel(logging.WARNING)  # or it prints the plan of every call
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(has.get("CPU", 0) >= cluster.cpus and has.get("GPU", 0) >= cluster.gpus for has in machines):
        raise ClusterError(
            f"no machine of the cluster at {cluster.address!r} has the {cluster.cpus} CPU cores and {cluster.gpus:g} "
            f"GPUs of a worker; lower cpus or gpus, or start machines that have them"
        )


def _probe(address: str) -> None:
    """Raise `OSError` where nobody listens at `host:port`: Ray itself would go on trying for a quarter of an hour."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), PROBE_SECONDS).close()


def answers_of(
    asked: Sequence[str],
    reference: ModelReference,
    model: TransformersSettings | VLLMSettings,
    cluster: ClusterSettings,
    folder: Path,
) -> list[str]:
    """Return what workers answer to each block, in order.

    A worker that dies is started again where there is room, and its block done again. Finished blocks stay in `folder`,
    which every machine sees and which belongs to this call alone: a call that was interrupted goes on, and one that
    was finished before asks nobody. Raises `ClusterError` for a fault of the model.
    """
    whole = folder / "whole"
    if not whole.exists():
        _run(asked, reference, model, cluster, folder)
    answers = _read(folder / "answers", len(asked))
    whole.touch()
    return answers


def _run(
    asked: Sequence[str],
    reference: ModelReference,
    model: TransformersSettings | VLLMSettings,
    cluster: ClusterSettings,
    folder: Path,
) -> None:
    """Have the blocks answered that are not, by a pipeline of Ray Data that reads, asks and writes."""
    connect(cluster)
    number = min(cluster.workers, len(asked))
    with DataContext.current(_context(folder / "checkpoint")):
        # reading and writing blocks needs no core of its own: workers may hold all of them
        blocks = ray.data.read_datasource(BlockSource(asked), num_cpus=0, override_num_blocks=len(asked)).map(
            BlockWorker,
            fn_constructor_kwargs={"reference": reference, "settings": model, "threads": cluster.cpus},
            # the pool may shrink to one: an idle worker then makes room for one whose machine is gone
            compute=ActorPoolStrategy(min_size=1, max_size=number, initial_size=number),
            num_cpus=cluster.cpus,
            num_gpus=cluster.gpus,
        )
        try:
            blocks.write_parquet(str(folder / "answers"), ray_remote_args={"num_cpus": 0})
        except RayError as error:
            raise ClusterError(f"a worker failed: {_cause(error)}") from error


def _context(checkpoint: Path) -> DataContext:
    context = DataContext.get_current().copy()
    context.enable_progress_bars = False
    context.checkpoint_config = CheckpointConfig(
        id_column="id", checkpoint_path=str(checkpoint), delete_checkpoint_on_success=False
    )
    return context


def _read(folder: Path, number: int) -> list[str]:
    """Return the answers in order. A block that was done twice, because its worker died late, says the same twice."""
    table = pq.read_table(folder, columns=["id", "answer"])
    answers = dict(zip(table["id"].to_pylist(), table["answer"].to_pylist(), strict=True))
    if set(answers) != set(range(number)):
        raise ClusterError(f"the cluster answered {len(answers)} of {number} blocks; run again, and it goes on")
    return [answers[place] for place in range(number)]


def _cause(error: Exception) -> str:
    """Return the last line of the traceback that came first: behind it Ray speaks of its own settings."""
    first = str(error).split("\n\nThe above exception")[0]
    return [line for line in first.splitlines() if line.strip()][-1].strip()
