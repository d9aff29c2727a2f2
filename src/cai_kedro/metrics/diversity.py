"""How varied texts are."""

from collections.abc import Sequence


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Return distinct word n-grams over all word n-grams of the texts: 1 where none repeats, near 0 for one phrase.

    It falls as the number of words grows, so compare samples of the same size only. 0 where no text has n words.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    words = [text.lower().split() for text in texts]
    grams = [tuple(line[i : i + n]) for line in words for i in range(len(line) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0
