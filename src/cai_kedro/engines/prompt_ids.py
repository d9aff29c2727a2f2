"""Prompts as token ids, and whether they fit: what engines share, whether or not they hold the model themselves."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from transformers import AutoConfig, PretrainedConfig, PreTrainedTokenizerBase

from cai_kedro.engines.base import PromptTooLongError
from cai_kedro.engines.model_files import load_tokenizer
from cai_kedro.engines.text_ids import text_ids


def context_of(config: PretrainedConfig) -> int | None:
    """Return how many tokens a model can read, None if it does not say; MPT has a name of its own for it."""
    text = config.get_text_config(decoder=True)
    return getattr(text, "max_position_embeddings", getattr(text, "max_seq_len", None))


class PromptIds:
    """The tokenizer of a model and the length of its context; no weights are read."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, limit: int | None) -> None:
        """Take a tokenizer, and how many tokens the model can read: None if nobody says."""
        self.tokenizer = tokenizer
        self.limit = limit

    @classmethod
    def of(cls, directory: Path) -> Self:
        """Read tokenizer and config of a model directory; raises `ValueError` if it is incomplete."""
        config = AutoConfig.from_pretrained(directory, trust_remote_code=False)
        return cls(load_tokenizer(directory), context_of(config))

    def encode(self, prompts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each prompt, behind the tokenizer's BOS if it has one; a prompt never holds it itself."""
        bos = [] if self.tokenizer.bos_token_id is None else [self.tokenizer.bos_token_id]
        return [bos + ids for ids in text_ids(self.tokenizer, prompts)]

    def of_choices(self, choices: Sequence[str]) -> list[list[int]]:
        """Return the ids of each choice, tokenised apart from any prompt. Raises `ValueError` for an empty one."""
        ids = text_ids(self.tokenizer, choices)
        if not ids or not all(ids):
            raise ValueError(f"every choice needs at least one token, got {list(choices)}")
        return ids

    def fits(self, prompts: Sequence[str], new_tokens: int) -> list[bool]:
        """Tell for each prompt whether the context has room for it and `new_tokens` more."""
        return [self.limit is None or len(ids) + new_tokens <= self.limit for ids in self.encode(prompts)]

    def fitting(self, prompts: Sequence[str], needed: int) -> list[list[int]]:
        """Return the ids of each prompt, if all leave room for `needed` more tokens.

        Raises `ValueError` for an empty prompt, `PromptTooLongError` with the places of all that are too long.
        """
        encoded = self.encode(prompts)
        if not all(encoded):
            raise ValueError(
                f"the prompt of row {encoded.index([])} is empty and the tokenizer has no BOS token: give it some text"
            )
        too_long = [i for i, ids in enumerate(encoded) if self.limit is not None and len(ids) + needed > self.limit]
        if too_long:
            raise PromptTooLongError(
                f"the prompt of row {too_long[0]} has {len(encoded[too_long[0]])} tokens and needs room for {needed} "
                f"more, the model's context is {self.limit} tokens",
                too_long,
            )
        return encoded
