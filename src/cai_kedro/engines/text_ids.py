"""Texts as token ids, in one place: a text never becomes a control token, whatever it says.

`add_special_tokens=False` alone does not do that: it adds none, but `<eos>` in the text of a user would still end it.
Of what a chat template writes, its own control tokens are control tokens, and nothing in the contents of turns is.
"""

import re
from collections.abc import Collection, Sequence

from tokenizers import AddedToken
from transformers import PreTrainedTokenizerBase

from cai_kedro.core.layouts.base import BREAK, Written


def written_ids(tokenizer: PreTrainedTokenizerBase, written: Sequence[Written]) -> list[list[int]]:
    """Return the ids of each text; no BOS or EOS is added. Raises `ValueError` as `text_ids` does."""
    rows: list[list[int]] = [[] for _ in written]
    plain = [i for i, one in enumerate(written) if not one.control]
    whole = [i for i, one in enumerate(written) if one.control and BREAK not in one.text]
    for i, ids in zip(plain, text_ids(tokenizer, [written[i].text for i in plain]), strict=True):
        rows[i] = ids
    if whole:
        found = tokenizer([written[i].text for i in whole], add_special_tokens=False)["input_ids"]
        for i, ids in zip(whole, found, strict=True):
            rows[i] = ids
    for i in sorted(set(range(len(written))) - {*plain, *whole}):
        rows[i] = _ids_around_breaks(tokenizer, written[i].text)
    return rows


def control_pattern(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str]:
    """Return what finds the names of control tokens in a text, that of unknown characters among them."""
    names = {str(tokenizer.convert_ids_to_tokens(i)) for i in _control_ids(tokenizer)}
    names |= {tokenizer.unk_token} if tokenizer.unk_token else set()
    return re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True))) or r"(?!)")


def _ids_around_breaks(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Tokenise the text between control tokens apart, so that what is taken apart in it stays text."""
    pattern = re.compile(f"({control_pattern(tokenizer).pattern})")
    ids: list[int] = []
    for place, part in enumerate(pattern.split(text)):
        if place % 2:
            ids.append(tokenizer.get_vocab()[part])
        elif part:
            ids.extend(text_ids(tokenizer, [part.replace(BREAK, "")])[0])
    return ids


def text_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """Return the ids of each text. No special token is added, and none that a text spells is read as one.

    BOS and EOS are put around the ids by those who need them. Raises `ValueError` for a text that this tokenizer cannot
    write without a control token.
    """
    if not texts:
        return []
    control = {i: str(tokenizer.convert_ids_to_tokens(i)) for i in _control_ids(tokenizer)}
    rows = _ids(tokenizer, texts)
    return [
        ids if control.keys().isdisjoint(ids) else _ids_without(tokenizer, text, control)
        for text, ids in zip(texts, rows, strict=True)
    ]


def mark_control_tokens(tokenizer: PreTrainedTokenizerBase, eos: Collection[int]) -> None:
    """Make special those added tokens that steer a model but are not marked so, in place; only special ones are split.

    These are the ids in `eos`, what the chat template writes by itself, and names such as `<|im_end|>`. Other added
    tokens, such as runs of spaces, are text.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:  # a tokenizer in Python: it splits every added token
        return
    template = tokenizer.chat_template if isinstance(tokenizer.chat_template, str) else ""
    for i, token in tokenizer.added_tokens_decoder.items():
        name = token.content
        steers = i in eos or (name.strip() and name in template) or (name.startswith("<|") and name.endswith("|>"))
        if steers and not token.special:
            backend.add_special_tokens([AddedToken(name, special=True, normalized=False)])


def _control_ids(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Return the special ids without that of unknown characters, which a text may well hold."""
    named = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    added = {i for i, token in tokenizer.added_tokens_decoder.items() if token.special}
    return {i for i in named | added if i is not None and i != tokenizer.unk_token_id}


def _ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    rows: list[list[int]] = tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return rows


def _ids_without(tokenizer: PreTrainedTokenizerBase, text: str, control: dict[int, str]) -> list[int]:
    """Tokenise in two parts wherever a control token is spelled: a vocabulary may hold it as a piece of text, too."""
    parts = [text]
    for name in control.values():
        cut: list[str] = []
        for part in parts:
            pieces = part.split(name)
            for i, piece in enumerate(pieces):
                before = name[1:] if i else ""
                after = name[:1] if i + 1 < len(pieces) else ""
                cut.append(before + piece + after)
        parts = cut
    ids = [i for row in _ids(tokenizer, [part for part in parts if part]) for i in row]
    spelled = [control[i] for i in ids if i in control]
    if spelled:
        raise ValueError(
            f"the tokenizer writes the control token {spelled[0]!r} for the text {text[:80]!r}; take the text out, or "
            f"use a tokenizer that can spell it"
        )
    return ids
