"""Tiny random models of many families: positions, windows, recurrent states, heads and logits that differ."""

from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, PreTrainedModel

#: The names that most configs use. Large initial weights: likelihoods differ, so tests can fail.
_PLAIN: dict[str, Any] = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 1,
}
_GROUPED = {**_PLAIN, "num_key_value_heads": 2}
_HEADS = {**_GROUPED, "head_dim": 8}
_GPT = {
    "n_embd": 16,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 256,
    "initializer_range": 0.3,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 1,
}
_STATE = {**_PLAIN, "state_size": 4}

_CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", _GROUPED),
    "qwen3": ("Qwen3", _HEADS),
    "gemma": ("Gemma", _HEADS),
    "mixtral": ("Mixtral", _GROUPED | {"num_local_experts": 4}),
    # learned positions; biases in the head; a projection behind and before the layers
    "gpt2": ("GPT2", _GPT),
    "gptj": ("GPTJ", _GPT | {"rotary_dim": 4}),
    "gpt_neox": ("GPTNeoX", _PLAIN),
    "phi": ("Phi", _PLAIN),
    "opt": (
        "OPT",
        _PLAIN | {"ffn_dim": 32, "word_embed_proj_dim": 8, "do_layer_norm_before": False, "init_std": 0.3},
    ),
    "xglm": ("XGLM", _PLAIN | {"d_model": 16, "ffn_dim": 32, "num_layers": 2, "attention_heads": 4, "init_std": 0.3}),
    # attention that does not take all keywords
    "nemotron": ("Nemotron", _GROUPED),
    # windows, in the cache or only in the mask; a bias by distance
    "mistral": ("Mistral", _GROUPED | {"sliding_window": 16}),
    "gpt_neo": (
        "GPTNeo",
        _PLAIN | {"num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": 16},
    ),
    "gpt_oss": ("GptOss", _HEADS | {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 16}),
    "bloom": ("Bloom", _PLAIN | {"n_layer": 2, "n_head": 4}),
    "falcon": ("Falcon", _PLAIN | {"alibi": True}),
    "mpt": ("Mpt", {"d_model": 16, "n_heads": 4, "n_layers": 2, "max_seq_len": 256, "initializer_range": 0.3}),
    # logits that are more than a product with the head's weights
    "gemma2": (
        "Gemma2",
        _HEADS
        | {
            "sliding_window": 16,
            "final_logit_softcapping": 2.0,
            "attn_logit_softcapping": 1.0,
            "query_pre_attn_scalar": 8,
        },
    ),
    "granite": ("Granite", _GROUPED | {"logits_scaling": 4.0, "embedding_multiplier": 3.0}),
    "cohere": ("Cohere", _GROUPED | {"logit_scale": 0.25}),
    "cohere2": ("Cohere2", _GROUPED | {"logit_scale": 0.25, "sliding_window": 16}),
    # recurrent states, alone or beside attention
    "mamba": ("Mamba", _STATE),
    "mamba2": ("Mamba2", _STATE | {"num_heads": 4, "head_dim": 8, "n_groups": 1, "chunk_size": 8}),
    "recurrent_gemma": (
        "RecurrentGemma",
        _PLAIN
        | {"num_hidden_layers": 3, "lru_width": 16, "attention_window_size": 16, "w_init_variance_scale": 0.3}
        | {"logits_soft_cap": 2.0},
    ),
    "jamba": (
        "Jamba",
        _GROUPED
        | {"num_experts": 2, "attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2}
        | {"expert_layer_offset": 1, "mamba_d_state": 4, "mamba_dt_rank": 4, "use_mamba_kernels": False},
    ),
    "falcon_h1": (
        "FalconH1",
        _GROUPED
        | {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 4, "mamba_n_groups": 1}
        | {"mamba_chunk_size": 8, "lm_head_multiplier": 0.5},
    ),
    "lfm2": ("Lfm2", _GROUPED | {"layer_types": ["conv", "full_attention"], "block_multiple_of": 8}),
    # no cache
    "rwkv": ("Rwkv", {"hidden_size": 16, "num_hidden_layers": 2, "attention_hidden_size": 16, "context_length": 256}),
}

#: Families that can be sampled from, token by token.
FAMILIES = tuple(name for name in _CONFIGS if name != "rwkv")


def family_model(name: str, vocab_size: int) -> PreTrainedModel:
    """Return a tiny random model of a family; biases are not zero, as if it had learnt."""
    config_class, settings = _CONFIGS[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{config_class}Config")(vocab_size=vocab_size, **settings)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter, values in model.named_parameters():
            if parameter.endswith("bias"):
                values.normal_(std=0.3)
    return model
