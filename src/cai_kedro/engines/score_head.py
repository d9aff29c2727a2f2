"""A model of one score per sequence on the trunk of a causal LM."""

import copy

import torch
from torch import nn
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
)

from cai_kedro.engines.eos import end_id
from cai_kedro.engines.language_model import LanguageModel


def score_config(base: LanguageModel) -> PretrainedConfig:
    """Return the config of a model of scores on the base's trunk.

    The score is read at the last token that is not padding, EOS; so padding must be another token. Raises `ValueError`
    where it is not, and for a family that transformers knows no such model of.
    """
    tokenizer = base.tokenizer
    if tokenizer.pad_token_id is None or tokenizer.pad_token_id == end_id(tokenizer, base.layout):
        raise ValueError(
            f"a preference model reads its score at EOS and needs a pad token that is not EOS, got "
            f"pad_token_id={tokenizer.pad_token_id} and the end {end_id(tokenizer, base.layout)}; "
            "set tokenizer.pad_token to another token before saving the base model"
        )
    config = copy.deepcopy(base.model.config)
    config.num_labels = 1
    config.pad_token_id = tokenizer.pad_token_id
    config.tie_word_embeddings = False  # there is no output embedding to tie
    if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise ValueError(
            f"transformers has no preference model (…ForSequenceClassification) for the family {config.model_type!r} "
            f"of {type(base.model).__name__}; take a base model of another family"
        )
    return config


def scored_trunk(base: LanguageModel) -> PreTrainedModel:
    """Return a model of scores on the base's own trunk, which is not copied, with a head (1, width) of zeros.

    Raises as `score_config`, and for a family whose model of scores is more than trunk and head.
    """
    with torch.device("meta"):
        model = AutoModelForSequenceClassification.from_config(score_config(base), dtype=base.model.dtype)
    trunk, head = base.model.base_model, torch.zeros(model.score.weight.shape, device=base.model.device)
    whole = type(model.base_model) is type(trunk)
    setattr(model, model.base_model_prefix, trunk)
    model.score.weight = nn.Parameter(head)
    if not whole or any(weights.is_meta for weights in model.parameters()):
        raise ValueError(
            f"{type(model).__name__} is more than the trunk of {type(base.model).__name__} and a head of one score, so "
            f"it cannot be trained as an adapter; set training.adapter to none, or take a model of another family"
        )
    return model.eval()
