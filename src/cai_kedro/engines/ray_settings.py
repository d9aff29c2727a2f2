"""Which cluster is asked, and how much of it; readable without Ray."""

from pydantic import BaseModel, ConfigDict, Field


class ClusterSettings(BaseModel):
    """Workers on a running Ray cluster. Nothing here starts one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str = Field(min_length=1, description="auto: the cluster that this machine belongs to; or host:port")
    workers: int = Field(ge=1, description="at most so many, each with a model of its own")
    cpus: int = Field(ge=1, description="CPU cores, and threads, of a worker")
    gpus: float = Field(ge=0, description="GPUs of a worker")
    block_prompts: int = Field(ge=1, description="prompts that a worker gets at a time; done again if it dies")
