"""A model and its tokenizer, as nodes receive and return them; the catalog alone reads and writes them."""

from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class LanguageModel:
    """A causal LM or a preference model (one score per sequence) with the tokenizer that belongs to it.

    Loading gives a fresh object each time, so a node that trains one may change its weights in place.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
