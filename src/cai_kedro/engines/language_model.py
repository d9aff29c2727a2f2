"""A model and its tokenizer, as nodes receive and return them; the catalog alone reads and writes them."""

from dataclasses import dataclass, field

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from cai_kedro.core.layouts.base import Layout
from cai_kedro.core.layouts.hh import HH


@dataclass(frozen=True)
class LanguageModel:
    """A causal LM or a preference model (one score per sequence), its tokenizer, and the layout in which it is asked.

    Loading gives a fresh object each time, so a node that trains one may change its weights in place. A model that is
    trained from another one has its layout: `dataclasses.replace`.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    layout: Layout = field(default=HH)
