"""A digest that changes when a model would answer otherwise."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, GenerationConfig, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from cai_kedro.core.layouts.base import Layout
from cai_kedro.engines.model_files import read_generation_config
from cai_kedro.engines.weight_files import weights_digest

#: What a config says about files, versions and speed. All else in it may change an answer.
_NOISE = frozenset(
    {
        "_name_or_path", "transformers_version", "torch_dtype", "dtype", "use_cache", "attn_implementation",
        "_attn_implementation", "output_attentions", "output_hidden_states", "return_dict", "chunk_size_feed_forward",
        "architectures", "id2label", "label2id",
    }
)  # fmt: skip


def model_fingerprint(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, layout: Layout) -> str:
    """Return the sha256 of names, shapes, dtypes and values of all weights, of the configs, tokenizer and layout."""
    digest = hashlib.sha256()
    for name, weights in sorted(model.state_dict().items()):
        digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}\n".encode())
        digest.update(weights.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    digest.update(_rules(model.config, model.generation_config, tokenizer, layout).encode())
    return digest.hexdigest()


def directory_fingerprint(directory: Path, tokenizer: PreTrainedTokenizerBase, layout: Layout, dtype: str) -> str:
    """Return the sha256 of a directory's weights, of the precision that they will be used in, and of all else.

    For a model that is loaded elsewhere: the weights are read one by one, and on no GPU. All else is the same as in
    `model_fingerprint`.
    """
    config = AutoConfig.from_pretrained(directory, trust_remote_code=False)
    rules = _rules(config, read_generation_config(directory), tokenizer, layout)
    return hashlib.sha256(json.dumps([weights_digest(directory), dtype, rules]).encode()).hexdigest()


def _rules(
    config: PretrainedConfig, generation: GenerationConfig | None, tokenizer: PreTrainedTokenizerBase, layout: Layout
) -> str:
    """Return what decides answers beside the weights: the config, which tokens end an answer, tokenizer and layout.

    Temperature and the like are not read from the generation config: each call gives its own.
    """
    ends = getattr(generation, "eos_token_id", None)
    rules = [_without_noise(config.to_dict()), ends, _tokenizer_content(tokenizer), layout.digest]
    return json.dumps(rules, sort_keys=True, ensure_ascii=False, default=str)


def _without_noise(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _without_noise(of) for name, of in value.items() if name not in _NOISE}
    return [_without_noise(of) for of in value] if isinstance(value, (list, tuple)) else value


def _tokenizer_content(tokenizer: PreTrainedTokenizerBase) -> list[Any]:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules = json.loads(backend.to_str()) if backend is not None else {"vocabulary": tokenizer.get_vocab()}
    for state in ("padding", "truncation"):  # what the last call asked for, no part of the tokenizer
        rules.pop(state, None)
    special = [tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id]
    return [rules, special]
