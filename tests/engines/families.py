"""Tiny random models of other families than the Llama of `tests/conftest.py`."""

import torch
from transformers import GPT2Config, GPT2LMHeadModel, MistralConfig, MistralForCausalLM


def other_families(vocab_size: int) -> dict[str, object]:
    """Learned positions; a sliding window, whose cache does not keep every token."""
    torch.manual_seed(0)
    gpt2 = GPT2Config(
        vocab_size=vocab_size, n_positions=256, n_embd=32, n_layer=2, n_head=4, initializer_range=0.3, eos_token_id=1
    )
    mistral = MistralConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=16,
        initializer_range=0.3,
        eos_token_id=1,
    )
    return {"gpt2": GPT2LMHeadModel(gpt2).eval(), "mistral": MistralForCausalLM(mistral).eval()}
