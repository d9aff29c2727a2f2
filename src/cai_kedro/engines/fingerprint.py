"""A digest that changes when a model would answer otherwise."""

import hashlib
import json
from pathlib import Path

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from cai_kedro.engines.model_files import weights_digest


def model_fingerprint(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
    """Return the sha256 of names, shapes, dtypes and values of all weights, and of the tokenizer."""
    digest = hashlib.sha256()
    for name, weights in sorted(model.state_dict().items()):
        digest.update(f"{name} {weights.dtype} {tuple(weights.shape)}\n".encode())
        digest.update(weights.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    digest.update(_tokenizer_content(tokenizer).encode())
    return digest.hexdigest()


def directory_fingerprint(directory: Path, tokenizer: PreTrainedTokenizerBase, dtype: str) -> str:
    """Return the sha256 of a directory's weights, of the precision that they will be used in, and of the tokenizer.

    For a model that is loaded elsewhere: the weights are read one by one, and on no GPU.
    """
    told = [weights_digest(directory), dtype, _tokenizer_content(tokenizer)]
    return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()


def _tokenizer_content(tokenizer: PreTrainedTokenizerBase) -> str:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules = json.loads(backend.to_str()) if backend is not None else {"vocabulary": tokenizer.get_vocab()}
    for state in ("padding", "truncation"):  # what the last call asked for, no part of the tokenizer
        rules.pop(state, None)
    special = [tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id]
    return json.dumps([rules, special, tokenizer.chat_template], sort_keys=True, ensure_ascii=False)
