"""What is held out, as phrases, and where a text holds something of it.

No lesson, no prompt to train on and no first turn holds any of this.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import get_args

from cai_kedro.englishworld.criteria import GENERAL, MANNERS
from cai_kedro.englishworld.deeds import Deed, View, turned
from cai_kedro.englishworld.lexicon import lexicon, raw
from cai_kedro.englishworld.principles import words_of
from cai_kedro.englishworld.spelling import plain

_PLACE = re.compile(r"\{\w+\}")
_FRAMES = ("requests", "replies", "principles", "at_length")
_ANYTHING = "[a-z0-9 ]{1,100}?"


def _held_out_texts(told: object) -> Iterator[str]:
    """Yield the frames under `held_out`, at any depth of a file."""
    if isinstance(told, dict):
        for name, of in told.items():
            yield from _strings(of) if name == "held_out" else _held_out_texts(of)


def _strings(told: object) -> Iterator[str]:
    if isinstance(told, str):
        yield told
    elif isinstance(told, list):
        for of in told:
            yield from _strings(of)


@cache
def held_out_phrases() -> dict[str, tuple[str, ...]]:
    """Return split → phrases as the lexicon writes them; {…} stands for anything."""
    acts: dict[str, list[str]] = {"act": [], "kind": []}
    for act in lexicon().acts:
        if Deed(act).split in acts:
            fields = (act.text, act.how, act.wrong, act.why, *act.excuses, *act.charges)
            acts[Deed(act).split] += [text for text in fields if text]
    words = [(name, word) for name in (GENERAL, *MANNERS, *lexicon().harms) for word in words_of(name)]
    held_out = [(name, word.text) for name, word in words if word.split == "held_out"]
    kinds = [name for name, harm in lexicon().harms.items() if harm.held_out]
    return {
        "act": tuple(acts["act"]),
        "object": tuple(value for slot in lexicon().slots.values() for value in slot["held_out"]),
        "kind": (*acts["kind"], *(text for name, text in held_out if name in kinds)),
        "frame": tuple(text for name in _FRAMES for text in _held_out_texts(raw(name))),
        "wording": tuple(text for name, text in held_out if name not in kinds),
    }


@cache
def _patterns() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    """Return split, the longest words that must be there, and the pattern of each phrase, in every view."""
    views: tuple[View, ...] = get_args(View)
    found: dict[str, tuple[str, str, re.Pattern[str]]] = {}
    for split, phrases in held_out_phrases().items():
        for text in dict.fromkeys(turned(phrase, view) for phrase in phrases for view in views):
            literals = [plain(part) for part in _PLACE.split(text)]
            pattern = f" {_ANYTHING} ".join(re.escape(part) for part in literals if part)
            found[f"{split} {text}"] = (split, max(literals, key=len), re.compile(rf"\b{pattern}\b"))
    return tuple(found.values())


def held_out_in(text: str) -> set[str]:
    """Return which splits a text holds something of."""
    said = plain(text)
    return {split for split, literal, pattern in _patterns() if literal in said and pattern.search(said)}
