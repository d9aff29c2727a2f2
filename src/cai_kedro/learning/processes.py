"""On how many processes of this machine a training runs: `training.processes` of the parameters."""

from collections.abc import Iterator
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.engines.ray_settings import TrainingCluster
from cai_kedro.learning.training_arguments import TrainingParams
from cai_kedro.models.adapters import AdapterParams


class Processes(BaseModel):
    """On how many processes a training runs, and what each of them holds of a model.

    Every process reads its share of each batch, so `batch_size` stays the whole one. `sharding: none` has the whole
    model in each of them (DDP); `fsdp` shares weights, gradients and optimiser out over GPUs, and writes no
    checkpoints. They are processes of this machine, or on a `cluster` of Ray; a single one is this very process.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    processes: int = Field(ge=1)
    sharding: Literal["none", "fsdp"]
    cluster: TrainingCluster | None = None

    def faults(self, params: Any, block: str) -> Iterator[str]:
        """Tell what keeps a training from running so; `block` is where its parameters stand.

        RL on replies has minibatches, which need not come out even.
        """
        if isinstance(params, TrainingParams):
            yield from self._batch_faults(params, block)
        elif self.processes > params.minibatch_size:
            yield self._too_many(params.minibatch_size, f"{block}.minibatch_size")
        yield from self.device_faults(params.device)

    def _batch_faults(self, params: TrainingParams, block: str) -> Iterator[str]:
        number, batch, at_once = self.processes, params.batch_size, params.device_batch_size
        own = batch // number
        if number > batch:
            yield self._too_many(batch, f"{block}.batch_size")
        elif batch % number:
            yield f"training.processes must divide {block}.batch_size, got {number} and {batch}: change one of them"
        elif at_once is not None and at_once < own and own % at_once:
            yield (
                f"{block}.device_batch_size must divide the {own} rows of a batch that each of {number} processes "
                f"has, got {at_once}: change it, training.processes or {block}.batch_size"
            )

    def _too_many(self, rows: int, size: str) -> str:
        return (
            f"training.processes is {self.processes}, and {size} is {rows}, so a process would have no row: lower "
            f"training.processes, or raise {size}"
        )

    def device_faults(self, device: str) -> Iterator[str]:
        """Tell what the machine lacks; what a cluster has is asked when the training begins."""
        if self.sharding == "fsdp" and (device == "cpu" or self.processes == 1):
            yield (
                f"training.sharding is fsdp, which shares a model out over several GPUs, and the device is {device} "
                f"with {self.processes} processes; set it to none, or change these"
            )
        elif self.cluster is not None and self.processes > 1 and (device == "cpu") != (self.cluster.gpus == 0):
            yield (
                f"training.cluster gives a process {self.cluster.gpus:g} GPUs, and the device is {device}: change one "
                f"of them"
            )
        elif self.cluster is not None:
            return
        elif device == "cuda" and self.processes > 1 and self.processes > torch.cuda.device_count():
            yield (
                f"training.processes is {self.processes}, one a GPU, and this machine has {torch.cuda.device_count()}: "
                f"lower training.processes"
            )


#: A training in this very process.
ALONE = Processes(processes=1, sharding="none")


class SharedParams(AdapterParams, Processes):
    """What all trainings of a run share (`training` of the parameters): what they change, and on how many processes."""

    @property
    def shared(self) -> Processes:
        """On how many processes they run."""
        return Processes(processes=self.processes, sharding=self.sharding, cluster=self.cluster)
