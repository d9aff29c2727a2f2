"""Tiny random checkpoints as strangers bring them: families, chat templates, tokens and files that differ.

Each maker writes a model directory in Hugging Face's format, as its owner saved it: nothing of ours is in it.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedTokenizerFast

CHATML = (
    "{% if messages[0]['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
#: As a model that thinks has it: thoughts of earlier turns are cut off, and thinking can be switched off.
THINKING_CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['role'] == 'assistant' and '</think>' in message['content'] %}"
    "{{ message['content'].split('</think>')[-1].lstrip('\n') }}{% else %}{{ message['content'] }}{% endif %}"
    "<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
HEADERS = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
#: No turn of its own for the system, and roles that must alternate.
START_OF_TURN = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{% set first = messages[0]['content'] + '\n\n' %}"
    "{% set turns = messages[1:] %}{% else %}{% set first = '' %}{% set turns = messages %}{% endif %}"
    "{% for message in turns %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "<start_of_turn>{{ 'model' if message['role'] == 'assistant' else message['role'] }}\n"
    "{{ (first if loop.first else '') + message['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)

_WORDS = (
    "Human Assistant The assistant should explain why it does not help with this request, and what it can do. "
    "Which of these responses is less harmful? Options: (A) (B) The answer is: Identify ways in which the response is "
    "harmful, unethical, dangerous or illegal. Please rewrite the response so that it is honest and kind. "
    "How can I write a letter to my friend about the garden? Consider the following conversation between a human and "
)


def _tokenizer(special: list[str], **roles: Any) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE with merges, so that texts are not as long as their bytes."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator([_WORDS], trainers.BpeTrainer(vocab_size=480, initial_alphabet=alphabet))
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **roles)


def _model(config: str, tokenizer: PreTrainedTokenizerFast, **settings: Any) -> Any:
    """Return a random model, with weights far enough from 0 that answers and likelihoods differ."""
    torch.manual_seed(0)
    plain = {"vocab_size": len(tokenizer), "initializer_range": 0.2, "tie_word_embeddings": True}
    ids = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("bos", "eos", "pad")}
    return AutoModelForCausalLM.from_config(getattr(transformers, config)(**{**plain, **ids, **settings})).eval()


_LLAMA_LIKE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
}


def qwen2(folder: Path) -> None:
    """ChatML with a default system turn; no BOS; the turn's end and the text's end are two tokens."""
    tokenizer = _tokenizer(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHATML,
    )
    model = _model("Qwen2Config", tokenizer, **_LLAMA_LIKE)
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def qwen3(folder: Path) -> None:
    """ChatML of a model that thinks."""
    tokenizer = _tokenizer(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=THINKING_CHATML,
    )
    _model("Qwen3Config", tokenizer, **_LLAMA_LIKE, head_dim=8).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def llama(folder: Path) -> None:
    """A template with headers that writes BOS itself, and no pad token."""
    _llama(folder)


def _llama(folder: Path, dtype: torch.dtype = torch.float32, **saving: Any) -> None:
    tokenizer = _tokenizer(
        ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        bos_token="<|begin_of_text|>",
        eos_token="<|eot_id|>",
        chat_template=HEADERS,
    )
    model = _model("LlamaConfig", tokenizer, **_LLAMA_LIKE)
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids(["<|end_of_text|>", "<|eot_id|>"])
    model.to(dtype).save_pretrained(folder, **saving)
    tokenizer.save_pretrained(folder)


def gemma3(folder: Path) -> None:
    """Sliding windows, two tokens that end an answer, no role for the system."""
    tokenizer = _tokenizer(
        ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"],
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        chat_template=START_OF_TURN,
    )
    model = _model(
        "Gemma3TextConfig",
        tokenizer,
        **_LLAMA_LIKE,
        head_dim=8,
        sliding_window=64,
        layer_types=["sliding_attention", "full_attention"],
        query_pre_attn_scalar=8,
    )
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=[tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<end_of_turn>")],
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def gpt_neox(folder: Path) -> None:
    """A base model: no chat template, no pad token."""
    tokenizer = _tokenizer(["<|endoftext|>"], bos_token="<|endoftext|>", eos_token="<|endoftext|>")
    settings = {name: value for name, value in _LLAMA_LIKE.items() if name != "num_key_value_heads"}
    _model("GPTNeoXConfig", tokenizer, **settings, use_cache=True).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def gpt2(folder: Path) -> None:
    """Learned positions, no chat template, no pad token, a short context."""
    tokenizer = _tokenizer(["<|endoftext|>"], bos_token="<|endoftext|>", eos_token="<|endoftext|>")
    _model("GPT2Config", tokenizer, n_embd=32, n_layer=2, n_head=4, n_positions=2048).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def wide_embedding(folder: Path) -> None:
    """An embedding with more rows than the tokenizer has tokens, as padded for speed."""
    tokenizer = _tokenizer(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHATML,
    )
    _model("Qwen2Config", tokenizer, **{**_LLAMA_LIKE, "vocab_size": 640}).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def sharded(folder: Path) -> None:
    """Weights in several files."""
    _llama(folder, max_shard_size="40KB")


def bfloat16(folder: Path) -> None:
    """Weights in half the bytes."""
    _llama(folder, torch.bfloat16)


#: Directory makers by name. What is made from one GGUF file stands with the tests of that format.
CHECKPOINTS: Mapping[str, Callable[[Path], None]] = {
    make.__name__: make for make in (qwen2, qwen3, llama, gemma3, gpt_neox, gpt2, wide_embedding, sharded, bfloat16)
}
