"""Principles read back: which criteria a question or a request names, and whether it wants less or more of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import get_args

from cai_kedro.englishworld.criteria import GENERAL, MANNERS
from cai_kedro.englishworld.frames import Frame
from cai_kedro.englishworld.lexicon import lexicon
from cai_kedro.englishworld.principles import (
    Polarity,
    Wording,
    question_frames,
    request_pairs,
    wording_of,
    words_of,
)
from cai_kedro.englishworld.spelling import plain

_OTHER: Mapping[Polarity, Polarity] = {"less": "more", "more": "less"}


@dataclass(frozen=True)
class Meaning:
    """What a principle asks: its criteria, and whether less or more of them."""

    criteria: tuple[str, ...]
    polarity: Polarity


@cache
def _words(wording: Wording) -> Mapping[str, tuple[str, bool]]:
    """Plain word → criterion, and whether it names the contrary."""
    return {
        plain(word.text): (name, word.form == "opposite")
        for name in (GENERAL, *MANNERS, *lexicon().harms)
        for word in words_of(name)
        if wording_of(word.form) == wording
    }


@cache
def _frames() -> tuple[tuple[Frame, Polarity, Wording], ...]:
    found: list[tuple[Frame, Polarity, Wording]] = []
    asked: Polarity
    wording: Wording
    for asked, wording in product(get_args(Polarity), get_args(Wording)):
        requests = [frame for pair in request_pairs(asked, wording) for frame in pair]
        found += [(frame, asked, wording) for frame in (*question_frames(asked, wording), *requests)]
    return tuple(found)


def meaning_of(text: str) -> Meaning | None:
    """Return what a question or a request asks, None if the grammar did not make it."""
    said = plain(text)
    for frame, asked, wording in _frames():
        for fills in frame.readings(said):
            words = _named(fills["x"], wording)
            if words:
                contrary = words[0][1]
                return Meaning(tuple(name for name, _ in words), _OTHER[asked] if contrary else asked)
    return None


def _named(x: str, wording: Wording) -> Sequence[tuple[str, bool]]:
    """Return what each of the words stands for; nothing if one of them is unknown or they do not go together."""
    known = _words(wording)
    for parts in _split(x):
        if all(part in known for part in parts):
            words = [known[part] for part in parts]
            if len({contrary for _, contrary in words}) == 1:
                return words
    return []


def _split(x: str) -> Iterator[list[str]]:
    """Yield the ways to take `a b or c` apart; a word may hold spaces, and an `or` of its own."""
    yield [x]
    at = x.find(" or ")
    while at > 0:
        yield [x[:at], x[at + 4 :]]
        at = x.find(" or ", at + 1)
