"""What every trainer is told, decided by device in one place."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cai_kedro.engines.precision import AUTO_DEVICE, DType, resolve_dtype
from cai_kedro.learning import ranks
from cai_kedro.learning.cpu_kernels import ATTENTION

#: `auto` in YAML is what the machine has (engines.precision).
Device = Annotated[Literal["cpu", "cuda"], AUTO_DEVICE]

#: Activations that are computed twice are FSDP's own matter.
_SHARDED = {"fsdp": True, "fsdp_config": {"activation_checkpointing": True}, "activation_checkpointing": False}

CPU_CHUNK_TOKENS = 2048  # half and twice as many are about as fast for the micro LM, a whole rollout is much slower


class CheckpointParams(BaseModel):
    """Where trainings keep their checkpoints, and how many seconds lie between two at least; 0: as many as can be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    directory: str
    seconds: float = Field(ge=0)


class TrainingParams(BaseModel):
    """What fine-tuning and the preference model have in common. Lengths are in tokens; `log_every` in steps.

    A step of the optimiser learns from `batch_size` rows. At most `device_batch_size` of them are on the device at a
    time, and their gradients are added up; null reads a whole batch at once.

    `dtype` is that of the matrix products (engines.precision); weights and optimiser stay in float32. Without
    `checkpoints`, an interrupted training starts again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: Device
    dtype: DType
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    device_batch_size: int | None = Field(default=None, ge=1)
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(ge=0)
    weight_decay: float = Field(ge=0)
    max_grad_norm: float = Field(gt=0)
    max_length: int = Field(ge=2)
    log_every: int = Field(ge=1)
    checkpoints: CheckpointParams | None = None

    @property
    def rows_at_once(self) -> int:
        """Rows on the device at a time."""
        return min(self.device_batch_size or self.batch_size, self.batch_size)

    @model_validator(mode="after")
    def _whole_parts(self) -> Self:
        if self.batch_size % self.rows_at_once:
            raise ValueError(
                f"device_batch_size must divide batch_size, got {self.device_batch_size} and {self.batch_size}: "
                f"change one of them"
            )
        return self


def device_flags(device: Device, dtype: DType, seed: int) -> dict[str, Any]:
    """Return the keyword arguments that depend on the machine, for any `TrainingArguments` class of HF or TRL.

    TRL's defaults (bfloat16, gradient checkpointing) are for GPUs: on a CPU they fail or cost a third of the time.
    Nothing is written, shown or sent: the catalog saves models and the hooks report.
    """
    return {
        "use_cpu": device == "cpu",
        "bf16": resolve_dtype(dtype, device) == "bfloat16",
        "activation_checkpointing": device != "cpu",  # the new name of gradient_checkpointing, which it sets
        "dataloader_pin_memory": device != "cpu",
        "seed": seed % 2**32,  # NumPy takes no larger one
        "report_to": "none",
        "disable_tqdm": True,
        "save_strategy": "no",
        "push_to_hub": False,
        "logging_nan_inf_filter": False,  # which would log a mean of earlier losses in the place of NaN
    }


def training_flags(params: TrainingParams, seed: int) -> dict[str, Any]:
    """Return the keyword arguments of an `SFTConfig` or `RewardConfig`: the device's and the parameters'.

    Each of several processes reads its share of a batch.
    """
    of_a_process = params.batch_size // ranks.world()
    at_once = min(params.rows_at_once, of_a_process)
    return {
        **device_flags(params.device, params.dtype, seed),
        **(_SHARDED if ranks.is_sharded() else {}),
        "num_train_epochs": params.epochs,
        "per_device_train_batch_size": at_once,
        "gradient_accumulation_steps": of_a_process // at_once,
        "learning_rate": params.learning_rate,
        "lr_scheduler_type": "linear",
        "warmup_steps": params.warmup_steps,
        "weight_decay": params.weight_decay,
        "max_grad_norm": params.max_grad_norm,
        "logging_steps": params.log_every,
        "logging_first_step": True,
        "remove_unused_columns": False,  # our datasets hold only what collator and sampler read
    }


def chunk_tokens(device: str) -> int:
    """Return how many padded tokens to read at once: on a CPU what stays in its cache, elsewhere without a limit."""
    return CPU_CHUNK_TOKENS if device == "cpu" else 2**31


def attention_for(device: Device) -> str:
    """Return the attention kernel to train with: on a CPU, plain matrix products beat the fused kernel."""
    return ATTENTION if device == "cpu" else "sdpa"
