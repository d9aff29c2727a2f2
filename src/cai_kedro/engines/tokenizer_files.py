"""The tokenizer of a model directory, made fit for training: with EOS, and with padding that is another token."""

import json
import logging
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoTokenizer, GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from cai_kedro.engines.eos import eos_ids_of
from cai_kedro.engines.text_ids import mark_control_tokens
from cai_kedro.engines.weight_files import embedding_rows

logger = logging.getLogger(__name__)

_NEW_PAD = "<pad>"
# names of tokens that stand for padding or for nothing; the first that fits is taken
_SPARE = (r"^[<\[]\|?pad\|?[>\]]$", r"^[<\[].*fim_pad", r"^[<\[].*pad", r"^[<\[].*(reserved|unused|placeholder)")


def read_tokenizer(directory: Path, config: Any, generation: GenerationConfig | None, rows: int) -> Any:
    """Return the tokenizer of a model with `rows` embeddings, with EOS and padding.

    Without an EOS of its own it gets the config's. Padding that is none, or that ends answers, becomes an unused token
    of the vocabulary, else a new one, for which the embeddings are to grow (`fit_embeddings`). Raises `ValueError`
    where no token ends an answer, or where text can become ids that the model has no embedding for.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(directory, trust_remote_code=False)
    except Exception as error:
        raise ValueError(f"the tokenizer in {directory} cannot be read ({error}); save or fetch it again") from error
    _forget_default_eos(directory / "config.json", config, tokenizer)
    try:
        eos = eos_ids_of(tokenizer, generation, config)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{directory}: a config's eos_token_id is neither an id nor a list of ids ({error})"
        ) from error
    if not eos:
        raise ValueError(
            f"no token ends an answer: neither tokenizer nor configs in {directory} name an EOS; set "
            f"tokenizer.eos_token and save it again"
        )
    beyond = [i for i in eos if not 0 <= i < rows]
    if beyond:
        raise ValueError(
            f"{directory}: the EOS id {beyond[0]} is beyond the {rows} embeddings of the model; put the tokenizer and "
            f"the configs that belong to the weights into the directory"
        )
    if tokenizer.eos_token_id is None:
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(eos[0])
    _pad_with_another_token(tokenizer, eos, config, rows, directory)
    mark_control_tokens(tokenizer, (*eos, tokenizer.pad_token_id))
    _check_ids(tokenizer, rows, directory)
    return tokenizer


def _forget_default_eos(file: Path, config: Any, tokenizer: PreTrainedTokenizerBase) -> None:
    """Unset an EOS, in place, that no file names: each family has an id of its own, here perhaps that of a word."""
    given = json.loads(file.read_text(encoding="utf-8"))
    for part in (config, config.get_text_config(decoder=True)):
        named = "eos_token_id" in given or any("eos_token_id" in of for of in given.values() if isinstance(of, dict))
        if not named and part.eos_token_id not in tokenizer.added_tokens_decoder:
            part.eos_token_id = None


def forget_padding_beyond(file: Path, config: Any) -> None:
    """Unset a padding, in place, that has no embedding: no model can be built with it, and none was trained on it."""
    for part in (config, config.get_text_config(decoder=True)):
        pad, rows = getattr(part, "pad_token_id", None), getattr(part, "vocab_size", None)
        if isinstance(pad, int) and isinstance(rows, int) and pad >= rows:
            part.pad_token_id = None
            _say_once(f"{file} pads with the id {pad}, beyond the {rows} embeddings: the tokenizer's padding is taken")


def _pad_with_another_token(
    tokenizer: PreTrainedTokenizerBase, eos: tuple[int, ...], config: Any, rows: int, directory: Path
) -> None:
    """Choose the padding, in place. A model of scores keeps the one that it was trained with."""
    pad, configured = tokenizer.pad_token_id, config.pad_token_id
    if pad is not None and pad not in eos:
        return
    scores = (config.architectures or [""])[0].endswith("ForSequenceClassification")
    if scores and configured is not None and configured in eos:
        raise ValueError(
            f"the preference model in {directory} pads with its EOS (id {configured}), where its score would be read; "
            f"train it with a padding token of its own"
        )
    known = {i for i in tokenizer.added_tokens_decoder if i < rows and i not in eos}
    own = [configured] if configured in known else []
    spare = next(iter([*own, *_spare_ids(tokenizer, eos, rows)]), None)
    was = "no padding token" if pad is None else f"{tokenizer.pad_token!r} both as padding and as an end"
    if spare is not None:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(spare)
    else:
        tokenizer.add_special_tokens({"pad_token": _NEW_PAD})
    _say_once(f"the tokenizer in {directory} has {was}: {tokenizer.pad_token!r} (id {tokenizer.pad_token_id}) pads")


def _spare_ids(tokenizer: PreTrainedTokenizerBase, eos: tuple[int, ...], rows: int) -> Iterator[int]:
    """Yield tokens that no text needs, the likeliest padding first; last the one of unknown characters."""
    used = {tokenizer.bos_token_id, *eos}
    names = {i: token.content for i, token in sorted(tokenizer.added_tokens_decoder.items())}
    for pattern in _SPARE:
        yield from (i for i, name in names.items() if i < rows and i not in used and re.search(pattern, name.lower()))
    unknown = tokenizer.unk_token_id
    if unknown is not None and unknown < rows and unknown not in used:
        yield unknown


def _check_ids(tokenizer: PreTrainedTokenizerBase, rows: int, directory: Path) -> None:
    """Raise `ValueError` where text can become an id beyond the embeddings; text never becomes a special token."""
    special = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    beyond = {i: token for token, i in tokenizer.get_vocab().items() if i >= rows and i not in special}
    if beyond or (tokenizer.bos_token_id or 0) >= rows:
        i, token = min(beyond.items()) if beyond else (tokenizer.bos_token_id, tokenizer.bos_token)
        raise ValueError(
            f"the tokenizer in {directory} is another model's: it writes {token!r} as id {i}, the model has {rows} "
            f"embeddings; put the tokenizer that belongs to the weights into the directory"
        )


def fit_embeddings(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Grow the embeddings, in place, to all ids of the tokenizer, and tell the configs which one pads.

    A new row is the mean of the others. So by Jensen's inequality a new token of n gets a probability of at most
    1 / n, whatever the model reads, and nothing is drawn.
    """
    before, needed = embedding_rows(model), max(tokenizer.get_vocab().values()) + 1
    if needed > before:
        with torch.random.fork_rng():
            model.resize_token_embeddings(needed, mean_resizing=False)
        for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
            _fill(layer, before)
        _say_once(f"the embeddings grow from {before} to {needed} rows, for padding and other special tokens")
    # a model of scores that pads with another token was trained with another tokenizer, which is told later
    if model.config.pad_token_id is None or not type(model).__name__.endswith("ForSequenceClassification"):
        for config in (model.config, model.generation_config):
            if config is not None:
                config.pad_token_id = tokenizer.pad_token_id


@torch.no_grad()
def _fill(layer: nn.Module | None, before: int) -> None:
    for values in (getattr(layer, "weight", None), getattr(layer, "bias", None)):
        if isinstance(values, torch.Tensor):
            values[before:] = values[:before].mean(0)


@cache
def _say_once(text: str) -> None:
    logger.warning(text)
