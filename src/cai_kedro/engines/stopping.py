"""Stop strings: found while sampling at little cost, and cut from the finished text."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

SPARE_TOKENS = 4  # the first token of a piece may lose its leading space when decoded, some decode to nothing


class StopStrings:
    """Says whether sampled ids have reached a stop string; for `stop=` of `sample_tokens`.

    Decoding after every token would cost more than a small model. So the text is looked at only after a token in which
    a stop string can end: one that holds the last character of it.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str], token_texts: Sequence[str]) -> None:
        """Take the text of every token id from `token_texts`. Raises `ValueError` for an empty stop string."""
        if not all(stop):
            raise ValueError(f"a stop string must not be empty, got {list(stop)}")
        self._tokenizer = tokenizer
        self._stop = tuple(stop)
        last = {string[-1] for string in stop}
        # an accent may be spread over tokens and a space may be lost in decoding: then look after every token
        self._always = not all(char.isascii() and char.isprintable() and char != " " for char in last)
        self._enders = frozenset(i for i, text in enumerate(token_texts) if last.intersection(text))
        self._tail = max((len(string.encode()) for string in stop), default=0) + SPARE_TOKENS

    def __call__(self, ids: list[int]) -> bool:
        """Say whether a stop string ends in the last of these ids."""
        if not self._stop or not (self._always or ids[-1] in self._enders):
            return False
        text = decode(self._tokenizer, [ids[-self._tail :]])[0]
        return any(string in text for string in self._stop)

    def cut(self, text: str) -> tuple[str, bool]:
        """Return the text before the first stop string, and whether there was one."""
        return cut_at(text, self._stop)


def cut_at(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """Return the text before the first of the stop strings, and whether there was one."""
    ends = [place for string in stop if (place := text.find(string)) >= 0]
    return (text[: min(ends)], True) if ends else (text, False)


def decode(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[list[int]], shown: frozenset[int] = frozenset()
) -> list[str]:
    """Return the text of each row of ids, without special tokens but those `shown`, and otherwise as it was written."""
    if not rows:  # batch_decode takes an empty list for one empty row
        return []
    texts: list[str] = tokenizer.batch_decode(list(rows), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    for row, ids in enumerate(rows):
        if not shown.isdisjoint(ids):
            kept = [i for i in ids if i in shown or i not in tokenizer.all_special_ids]
            (texts[row],) = tokenizer.batch_decode([kept], clean_up_tokenization_spaces=False)
    return texts


def token_texts(tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return what each token id says by itself."""
    return decode(tokenizer, [[i] for i in range(len(tokenizer))])
