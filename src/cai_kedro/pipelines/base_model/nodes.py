"""Where the pretrained model comes from."""

from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, model_validator

from cai_kedro.core.layouts.base import LayoutChoice
from cai_kedro.core.lineage_checks import is_hub_model
from cai_kedro.engines.adapted_model import AdaptedModel
from cai_kedro.engines.gguf_file import GGUFFile
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_reference import ModelReference
from cai_kedro.englishworld.shipped import shipped_adapter
from cai_kedro.learning.loop_checkpoints import loop_checkpoints
from cai_kedro.learning.training_arguments import CheckpointParams
from cai_kedro.microworld.pretraining import PretrainingParams, pretrain
from cai_kedro.microworld.shipped import code_digest, shipped_directory, training_log

_NO_CURVES = pd.DataFrame({"step": [], "metric": [], "value": []})


class BaseModelParams(BaseModel):
    """Which model to start from.

    `shipped`: the micro LM in the package; `micro`: tokenizer and micro LM from scratch; `path`: a directory in
    Hugging Face's format; `gguf`: a file in that format, or `package:resource`; `hub`: a repository at a pinned
    revision.
    `layout`: how it is asked; all models of the run keep it. Without `checkpoints`, an interrupted training of `micro`
    starts again. `adapter`: skills that the model was taught (`teach_skills`), a directory, or `shipped`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Literal["shipped", "micro", "path", "gguf", "hub"]
    path: str | None
    gguf: str | None
    repo: str | None
    revision: str | None
    layout: LayoutChoice
    micro: PretrainingParams
    checkpoints: CheckpointParams | None = None
    adapter: str | None = None

    @model_validator(mode="after")
    def _source_is_complete(self) -> "BaseModelParams":
        if self.source in ("shipped", "micro") and self.layout == "chat":
            raise ValueError("base_model.layout is `chat`, but the micro LM reads the layout `hh`; set it to auto")
        if self.source in ("shipped", "micro") and self.adapter is not None:
            raise ValueError(
                f"base_model.adapter is {self.adapter!r}, and the micro LM takes none; set it to null, or give an "
                f"English model"
            )
        needed = {"path": ("path",), "gguf": ("gguf",), "hub": ("repo", "revision")}.get(self.source, ())
        missing = [f"base_model.{name}" for name in needed if not getattr(self, name)]
        if missing:
            raise ValueError(
                f"no model is given: add --params=model=<a directory, a .gguf file, or organisation/name@revision of "
                f"the hub> to the command, or set {' and '.join(missing)}, because base_model.source is `{self.source}`"
            )
        return self


def provide_pretrained(
    params: BaseModelParams, seed: int
) -> tuple[LanguageModel | ModelReference | GGUFFile | AdaptedModel, pd.DataFrame]:
    """Return the pretrained model, or where it lies, and its training curve (`curves`; empty if unknown)."""
    model, curves = _untaught(params, seed)
    if params.adapter is None:
        return model, curves
    assert not isinstance(model, LanguageModel)  # the parameters refuse it
    return AdaptedModel(model, shipped_adapter() if params.adapter == "shipped" else Path(params.adapter)), curves


def _untaught(params: BaseModelParams, seed: int) -> tuple[LanguageModel | ModelReference | GGUFFile, pd.DataFrame]:
    if params.source == "micro":
        with loop_checkpoints("pretraining", params, code_digest(), seed) as checkpoints:
            trained = pretrain(params.micro, seed, checkpoints=checkpoints)
        return LanguageModel(model=trained.model, tokenizer=trained.tokenizer), trained.curves
    if params.source == "shipped":
        return ModelReference(path=str(shipped_directory())), training_log()
    if params.source == "path":
        return ModelReference(path=params.path, layout=params.layout), _NO_CURVES
    if params.source == "gguf":
        assert params.gguf is not None
        return GGUFFile(params.gguf, params.layout), _NO_CURVES
    return ModelReference(repo=params.repo, revision=params.revision, layout=params.layout), _NO_CURVES


def provide_untaught(params: BaseModelParams, seed: int) -> LanguageModel | ModelReference | GGUFFile:
    """Return the model that is taught skills, or where it lies: the pretrained one, without an adapter."""
    return _untaught(params, seed)[0]


def provide_given(model: str, layout: LayoutChoice) -> ModelReference | GGUFFile:
    """Return where a model of the user lies: a directory, a GGUF file, or `repository@commit` of the hub.

    `layout` is how it is asked.
    """
    if model.endswith(".gguf"):
        return GGUFFile(model, layout)
    if is_hub_model(model):
        repo, _, revision = model.rpartition("@")
        return ModelReference(repo=repo, revision=revision, layout=layout)
    return ModelReference(path=model, layout=layout)
