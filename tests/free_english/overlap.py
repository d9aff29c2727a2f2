"""Runs of words that texts share: what was copied shares long ones."""

import re
from collections.abc import Iterable

WORDS_IN_A_ROW = 8


def runs_of(text: str, n: int = WORDS_IN_A_ROW) -> set[tuple[str, ...]]:
    """Return every run of n words of a text."""
    words = re.findall(r"[a-z0-9']+", text.lower())
    return {tuple(words[start : start + n]) for start in range(len(words) - n + 1)}


def shared_runs(texts: Iterable[str], others: Iterable[str], n: int = WORDS_IN_A_ROW) -> dict[str, str]:
    """Return which of the texts share a run of n words with one of the others, and the first of these runs."""
    theirs = set().union(*(runs_of(other, n) for other in others))
    found = {text: sorted(runs_of(text, n) & theirs) for text in texts}
    return {text: " ".join(runs[0]) for text, runs in found.items() if runs}
