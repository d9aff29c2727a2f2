"""Asks as token ids, and whether they fit: what engines share, whether or not they hold the model themselves."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from transformers import AutoConfig, PretrainedConfig, PreTrainedTokenizerBase

from cai_kedro.core.asks import Ask, common
from cai_kedro.core.layouts.base import Layout, LayoutChoice, TurnsRefusedError
from cai_kedro.engines.base import PromptTooLongError
from cai_kedro.engines.model_files import load_tokenizer
from cai_kedro.engines.text_ids import text_ids, written_ids


def context_of(config: PretrainedConfig) -> int | None:
    """Return how many tokens a model can read, None if it does not say; MPT has a name of its own for it."""
    text = config.get_text_config(decoder=True)
    return getattr(text, "max_position_embeddings", getattr(text, "max_seq_len", None))


class PromptIds:
    """The tokenizer of a model, its layout and the length of its context; no weights are read."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, layout: Layout, limit: int | None) -> None:
        """Take tokenizer and layout, and how many tokens the model can read: None if nobody says."""
        self.tokenizer = tokenizer
        self.layout = layout
        self.limit = limit

    @classmethod
    def of(cls, directory: Path, layout: LayoutChoice = "auto") -> Self:
        """Read tokenizer, layout and config of a model directory; raises `ValueError` if it is incomplete."""
        config = AutoConfig.from_pretrained(directory, trust_remote_code=False)
        return cls(*load_tokenizer(directory, layout), context_of(config))

    def encode(self, asks: Sequence[Ask]) -> list[list[int]]:
        """Return the ids of each ask, written down in the layout."""
        return prompt_ids(self.tokenizer, self.layout, asks)

    def of_choices(self, asks: Sequence[Ask]) -> list[list[int]]:
        """Return the ids of each choice of these asks, tokenised apart from any prompt.

        Raises `ValueError` for an empty choice, and for asks whose choices differ.
        """
        choices = common(asks, self.layout.choices)
        ids = text_ids(self.tokenizer, choices)
        if not ids or not all(ids):
            raise ValueError(f"every choice needs at least one token, got {list(choices)}")
        return ids

    def stops(self, asks: Sequence[Ask]) -> tuple[str, ...]:
        """Return the stop strings of these asks; raises `ValueError` if they differ."""
        return common(asks, self.layout.stops)

    def fits(self, asks: Sequence[Ask], new_tokens: int) -> list[bool]:
        """Tell for each ask whether the layout can write it and the context has room for it and `new_tokens` more."""
        turned_away = refused(self.layout, asks)
        lengths = map(len, self.encode([ask for row, ask in enumerate(asks) if row not in turned_away]))
        return [
            row not in turned_away and (next(lengths) + new_tokens <= self.limit if self.limit is not None else True)
            for row in range(len(asks))
        ]

    def fitting(self, asks: Sequence[Ask], needed: int) -> list[list[int]]:
        """Return the ids of each ask, if all leave room for `needed` more tokens.

        Raises `ValueError` for an empty prompt, `PromptTooLongError` with the places of all that are too long.
        """
        encoded = self.encode(asks)
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


def refused(layout: Layout, asks: Sequence[Ask]) -> dict[int, str]:
    """Return the places of the asks that a chat template refuses, each with the reason; base models read any."""
    reasons: dict[int, str] = {}
    for row, ask in enumerate(asks if layout.kind == "chat" else ()):
        try:
            layout.prompt(ask)
        except TurnsRefusedError as error:
            reasons[row] = str(error)
    return reasons


def prompt_ids(tokenizer: PreTrainedTokenizerBase, layout: Layout, asks: Sequence[Ask]) -> list[list[int]]:
    """Return the ids of each ask, behind the tokenizer's BOS where the layout wants it.

    Raises `TurnsRefusedError` with the places of all asks that the layout cannot write down.
    """
    try:
        written = [layout.prompt(ask) for ask in asks]
    except TurnsRefusedError:
        turned_away = refused(layout, asks)
        raise TurnsRefusedError(next(iter(turned_away.values())), list(turned_away)) from None
    bos = [tokenizer.bos_token_id] if layout.bos and tokenizer.bos_token_id is not None else []
    return [bos + ids for ids in written_ids(tokenizer, written)]
