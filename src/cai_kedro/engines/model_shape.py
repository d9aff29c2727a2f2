"""The sizes of a model by its config: no weights are read."""

from typing import Any

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig

from cai_kedro.core.model_shape import ModelShape


def shape_of(config: PretrainedConfig) -> ModelShape:
    """Return the sizes that memory depends on; families that name them otherwise are taken for GPT-2's proportions."""
    text: Any = config.get_text_config(decoder=True)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(text)
    embeddings: Any = model.get_input_embeddings()
    vocabulary, _ = embeddings.weight.shape
    width = _first(text, "hidden_size", "n_embd", "d_model")
    heads = _first(text, "num_attention_heads", "n_head", "n_heads") or 1
    return ModelShape(
        parameters=model.num_parameters(),
        embeddings=embeddings.weight.numel(),
        layers=_first(text, "num_hidden_layers", "n_layer", "n_layers", "num_layers"),
        width=width,
        inner=_first(text, "intermediate_size", "n_inner", "ffn_dim") or 4 * width,
        heads=heads,
        key_heads=_first(text, "num_key_value_heads") or heads,
        head_width=_first(text, "head_dim") or width // heads,
        vocabulary=vocabulary,
    )


def _first(config: Any, *names: str) -> int:
    return next((int(found) for name in names if (found := getattr(config, name, None))), 0)
