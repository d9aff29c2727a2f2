"""One text in many spellings, and the one plain form that all of them have.

`plain` is what the oracle compares: lower case, no punctuation, British words, typing errors put right. Every word of
the lexicon has a few typing errors of its own, which are no words themselves, so nothing is guessed.
"""

import random
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from cai_kedro.englishworld.lexicon import lexicon, raw

VARIETIES = ("british", "american")
REGISTERS = ("careful", "text_speak", "hasty")

_WORD = re.compile(r"[A-Za-z]+")
_CONTRACTED = re.compile(r"(?<=[a-z])'(?=(?:t|m|ve|ll|d|re)\b)", re.IGNORECASE)
_SHORTEST = 5  # letters of a word that may be mistyped
_MISTYPED = 2  # words of a hasty text, at most


def bare(text: str) -> str:
    """Return a text in lower case, without punctuation; a possessive s stands alone."""
    joined = re.sub(r"'(?!s\b)", "", text.lower().replace("’", "'"))
    return " ".join(re.sub(r"[^a-z0-9]+", " ", joined).split())


def plain(text: str) -> str:
    """Return the form that all spellings of a text have in common."""
    known = _readings()
    return " ".join(known.get(word, word) for word in bare(text).split())


def write(text: str, variety: str, register: str, rng: random.Random) -> str:
    """Spell a text the British or the American way, as a careful or hasty writer does, or in text-speak."""
    spelled = american(text) if variety == "american" else text
    if register == "text_speak":
        return _text_speak(spelled)
    return _mistype(spelled, rng) if register == "hasty" else spelled


def american(text: str) -> str:
    """Spell a text the American way."""
    table = raw("registers")["american"]
    return _WORD.sub(lambda word: _cased(table.get(word[0].lower(), word[0]), word[0]), text)


def _text_speak(text: str) -> str:
    short = _CONTRACTED.sub("", text.lower())
    for long, abbreviated in raw("registers")["text_speak"].items():
        short = re.sub(rf"\b{long}\b(?!')", abbreviated, short)
    return short.rstrip(".!")


def _mistype(text: str, rng: random.Random) -> str:
    table = _errors()
    places = [word for word in _WORD.finditer(text) if word[0].lower() in table]
    for word in sorted(rng.sample(places, min(len(places), rng.randint(1, _MISTYPED))), key=re.Match.start)[::-1]:
        error = rng.choice(table[word[0].lower()])
        text = text[: word.start()] + _cased(error, word[0]) + text[word.end() :]
    return text


def _cased(word: str, like: str) -> str:
    return word[0].upper() + word[1:] if like[0].isupper() else word


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for of in value.values():
            yield from _texts(of)
    elif isinstance(value, list | tuple):
        for of in value:
            yield from _texts(of)


@cache
def _vocabulary() -> frozenset[str]:
    acts = [(act.text, act.how, act.wrong, act.why, act.instead, act.excuses, act.charges) for act in lexicon().acts]
    told = [raw(name) for name in ("requests", "replies", "principles", "registers", "slots")]
    harms = [[raw(f"harms/{name}")[of] for of in ("adjectives", "nouns", "phrases")] for name in lexicon().harms]
    return frozenset(word for text in _texts([acts, told, harms]) for word in bare(text).split())


@cache
def _errors() -> Mapping[str, tuple[str, ...]]:
    """Word → its typing errors: letters swapped or left out. None is a word or the error of two words."""
    made: dict[str, set[str]] = {}
    for word in _vocabulary():
        if len(word) < _SHORTEST or not word.isalpha():
            continue
        middle = len(word) // 2
        for error in (_swapped(word, 1), _swapped(word, middle), word[:middle] + word[middle + 1 :]):
            made.setdefault(error, set()).add(word)
    errors: dict[str, list[str]] = {}
    for error, words in sorted(made.items()):
        if len(words) == 1 and error not in _vocabulary():
            errors.setdefault(next(iter(words)), []).append(error)
    return {word: tuple(of) for word, of in errors.items()}


def _swapped(word: str, at: int) -> str:
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


@cache
def _readings() -> Mapping[str, str]:
    """Any spelling of a word → the plain one."""
    tables = raw("registers")
    british = {theirs: ours for ours, theirs in tables["american"].items()}
    readings = {error: british.get(word, word) for word, errors in _errors().items() for error in errors}
    readings |= {short: british.get(long, long) for long, short in tables["text_speak"].items()}
    return readings | british
