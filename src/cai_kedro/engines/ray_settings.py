"""Which cluster is asked, and how much of it; readable without Ray."""

from pydantic import BaseModel, ConfigDict, Field


class Cluster(BaseModel):
    """A running Ray cluster, and what a worker takes of a machine. Nothing here starts one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = Field(min_length=1, description="auto: the cluster that this machine belongs to; or host:port")
    cpus: int = Field(ge=1, description="CPU cores, and threads, of a worker")
    gpus: float = Field(ge=0, description="GPUs of a worker")


class TrainingCluster(Cluster):
    """Where the processes of a training run in the place of this machine."""

    scratch: str = Field(min_length=1, description="folder of a training without checkpoints, seen by every machine")


class ClusterSettings(Cluster):
    """Workers that answer for a model."""

    workers: int = Field(ge=1, description="at most so many, each with a model of its own")
    block_prompts: int = Field(ge=1, description="prompts that a worker gets at a time; done again if it dies")
