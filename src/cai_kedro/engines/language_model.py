"""A model and its tokenizer, as nodes receive and return them; the catalog alone reads and writes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from cai_kedro.core.layouts.base import Layout
from cai_kedro.core.layouts.hh import HH


@dataclass(frozen=True)
class Adapter:
    """LoRA (Hu et al. 2021): a training adds alpha / rank · B A to the weights of the linear layers `targets`.

    `backbone` is the directory of the model that these were trained on, None where that was never saved. `weights` are
    on the CPU, by the names that they have in the adapter's file: `….lora_A.weight` (rank, inputs), `….lora_B.weight`
    (outputs, rank) and, of a preference model, its `score.weight`. They are None while they are trained.

    With a `quantisation` the linear layers of the backbone's trunk are rounded to 4 bits (`engines.nf4`): it is these
    that the adapter was trained on, and is read on. `beneath` is the adapter that is merged into the weights of the
    backbone, if the backbone is one itself.
    """

    rank: int
    alpha: float
    targets: tuple[str, ...]
    backbone: Path | None
    weights: Mapping[str, Tensor] | None = None
    has_head: bool = False
    quantisation: Literal["nf4"] | None = None
    beneath: "Adapter | None" = None


@dataclass(frozen=True)
class LanguageModel:
    """A causal LM or a preference model (one score per sequence), its tokenizer, and the layout in which it is asked.

    Loading gives a fresh object each time, so a node that trains one may change its weights in place. A model that is
    trained from another one has its layout: `dataclasses.replace`.

    `origin` is the directory that it was loaded from, None once it is trained. With an `adapter`, the catalog writes
    that alone; the weights of `model` hold it already (`models.adapters` while it is trained, else merged).
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    layout: Layout = field(default=HH)
    origin: Path | None = None
    adapter: Adapter | None = None
