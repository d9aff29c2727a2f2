"""Which engine reads a model directory, as settings that can be sent to another machine."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.core.layouts.base import LayoutChoice
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import ModelFiles, open_model
from cai_kedro.engines.precision import AUTO_DEVICE, DType, resolve_dtype
from cai_kedro.engines.transformers_engine import TransformersEngine, Unloaded, cast_weights
from cai_kedro.engines.vllm_engine import VLLMEngine, VLLMSettings


class LocalSettings(BaseModel):
    """How the transformers engine holds a model in this process."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: Annotated[str, AUTO_DEVICE] = Field(pattern=r"^(cpu|mps|cuda(:\d+)?)$", description="auto, cpu or cuda")
    dtype: DType = Field(description="precision it computes in")
    max_batch_tokens: int = Field(ge=1, description="tokens, padding included, in one batch")

    def engine_on(self, lm: LanguageModel) -> TransformersEngine:
        """Return an engine on a loaded model, which moves to the device; where it is to be cast, a copy moves."""
        dtype = resolve_dtype(self.dtype, self.device)
        model = cast_weights(lm.model, getattr(torch, dtype))
        torch.nn.Module.to(model, self.device)  # the type of the override knows no device
        return TransformersEngine(replace(lm, model=model), max_batch_tokens=self.max_batch_tokens, dtype=dtype)

    def engine_at(self, files: ModelFiles) -> TransformersEngine:
        """Return an engine that reads the weights when it is first asked: in its precision, straight to the device."""
        unloaded = Unloaded(files, self.device)
        return TransformersEngine(unloaded, max_batch_tokens=self.max_batch_tokens, dtype=self.dtype)


class TransformersSettings(LocalSettings):
    """How a worker's transformers engine holds a model.

    `dtype` is never `auto`: each machine would decide for itself, and rows would depend on who made them.
    """

    kind: Literal["transformers"]
    dtype: Literal["float32", "bfloat16"] = Field(description="precision it computes in")


EngineSettings = Annotated[TransformersSettings | VLLMSettings, Field(discriminator="kind")]


def load_engine(
    settings: TransformersSettings | VLLMSettings, directory: Path, layout: LayoutChoice = "auto"
) -> TextEngine:
    """Return an engine on a model directory. Raises `ValueError` that says which files it misses."""
    if isinstance(settings, VLLMSettings):
        return VLLMEngine(directory, settings, layout)
    return settings.engine_at(open_model(directory, layout))
