"""Counts what is held out in texts of the micro world."""

import re
from collections import Counter
from collections.abc import Iterable

from cai_kedro.microworld.acts import act_table
from cai_kedro.microworld.lexicon import lexicon


def _any_of(phrases: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(sorted(map(re.escape, phrases), key=len, reverse=True))})\b", re.IGNORECASE)


def held_out_in(texts: Iterable[str]) -> Counter[str]:
    """Return how many texts hold a held-out combination, object or verb."""
    patterns = {
        "combination": _any_of(act.text for act in act_table().acts if act.split == "combination"),
        "object": _any_of(noun.text for noun in lexicon().nouns if noun.held_out),
        "verb": _any_of(verb.text for verb in lexicon().verbs if verb.held_out),
    }
    found: Counter[str] = Counter()
    for text in texts:
        found.update(what for what, pattern in patterns.items() if pattern.search(text))
    return found
