"""Which engine reads a model directory, as settings that can be sent to another machine."""

from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.model_files import load_language_model
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.engines.vllm_engine import VLLMEngine, VLLMSettings


class TransformersSettings(BaseModel):
    """How the transformers engine holds a model.

    `dtype` is never `auto`: each machine would decide for itself, and rows would depend on who made them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["transformers"]
    device: str = Field(description="cpu or cuda")
    dtype: Literal["float32", "bfloat16"] = Field(description="precision it computes in")
    max_batch_tokens: int = Field(ge=1, description="tokens, padding included, in one batch")


EngineSettings = Annotated[TransformersSettings | VLLMSettings, Field(discriminator="kind")]


def load_engine(settings: TransformersSettings | VLLMSettings, directory: Path) -> TextEngine:
    """Load a model directory. Raises `ValueError` that says which files it misses."""
    if isinstance(settings, VLLMSettings):
        return VLLMEngine(directory, settings)
    lm = load_language_model(directory)
    torch.nn.Module.to(lm.model, settings.device)  # the type of the override knows no device
    return TransformersEngine(lm, max_batch_tokens=settings.max_batch_tokens, dtype=settings.dtype)
