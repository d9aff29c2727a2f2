"""ROUGE-L of two texts, and which of many texts are near-duplicates by it, without comparing each with each.

ROUGE-L is the F-measure over words: 2 × LCS / (m + n), for texts of m and n words with LCS of them in common, in order.
Words are runs of a-z and 0-9 in lower case, without a stemmer.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import floor
from typing import NamedTuple

from rapidfuzz import process
from rapidfuzz.distance import Indel, LCSseq

_WORD = re.compile(r"[a-z0-9]+")
_SURROGATES = range(0xD800, 0xE000)
_CODE_POINTS = 0x110000 - len(_SURROGATES)
#: Floats of one fraction may differ by so much where they were computed in another way.
_ROUNDING = 1e-9


def rouge_words(text: str) -> list[str]:
    """Return the words that ROUGE counts."""
    return _WORD.findall(text.lower())


def rouge_l(one: str, other: str) -> float:
    """Return ROUGE-L of two texts, in [0, 1]; 0 where either has no word."""
    first, second = rouge_words(one), rouge_words(other)
    if not (first and second):
        return 0.0
    return 2 * LCSseq.similarity(first, second) / (len(first) + len(second))


class Near(NamedTuple):
    """What a text is too much like: its place in `[*known, *texts]`, and ROUGE-L of the two."""

    place: int
    rouge: float


def near_duplicates(known: Sequence[str], texts: Sequence[str], threshold: float) -> list[Near | None]:
    """Go through texts in their order; keep each that is like none of the known ones and none kept before.

    Alike are two texts with ROUGE-L above `threshold`, which is in (0, 1]. Returns for each text None where it is kept,
    else the known or kept text that it is most like, the first of equals.

    Only texts that can be alike are compared, and none of those is missed (docs/guides/self_align.md has the proof): a
    LCS has at most as many words as the two texts share, so with more than `threshold` two texts share at least
    `_shared(m, n)` words, and then the rarest `m - shared + 1` words of one and `n - shared + 1` of the other have one
    in common (prefix filtering, as in joins of similar sets).
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"the threshold of ROUGE-L must be above 0 and at most 1, got {threshold}")
    coded = _Coded.of([*known, *texts])
    exact = Fraction(str(threshold))
    index = _Index(coded, exact)
    found: list[Near | None] = []
    for place in range(len(known)):
        index.add(place)
    for place in range(len(known), len(known) + len(texts)):
        near = index.nearest(place)
        if near is None:
            index.add(place)
        found.append(near)
    return found


@dataclass(frozen=True)
class _Coded:
    """Texts, a character for each word in `words`; in `rarest` their words from the rarest to the most frequent one.

    The second `the` of a text is another word there than the first one, so that shared words can be counted as a set.
    """

    words: Sequence[str]
    rarest: Sequence[Sequence[int]]

    @classmethod
    def of(cls, texts: Sequence[str]) -> "_Coded":
        codes: dict[str, str] = {}
        ids: dict[tuple[str, int], int] = {}
        counts: Counter[int] = Counter()
        words, numbered = [], []
        for text in texts:
            there = rouge_words(text)
            words.append("".join([codes.setdefault(word, _character(len(codes))) for word in there]))
            own = [ids.setdefault(each, len(ids)) for each in _numbered(there)]
            counts.update(own)
            numbered.append(own)
        return cls(words, [sorted(own, key=lambda number: (counts[number], number)) for own in numbered])


def _character(number: int) -> str:
    if number >= _CODE_POINTS:
        raise ValueError(f"the texts have more than {_CODE_POINTS} different words; filter them in several parts")
    return chr(number if number < _SURROGATES.start else number + len(_SURROGATES))


def _numbered(words: Iterable[str]) -> list[tuple[str, int]]:
    seen: Counter[str] = Counter()
    numbered = []
    for word in words:
        numbered.append((word, seen[word]))
        seen[word] += 1
    return numbered


class _Index:
    """The kept texts by their rare words: word → length of the text → place in its order of rarity → texts."""

    def __init__(self, coded: _Coded, threshold: Fraction) -> None:
        self._coded, self._threshold = coded, threshold
        self._texts: dict[int, dict[int, list[list[int]]]] = {}

    def add(self, place: int) -> None:
        rarest = self._coded.rarest[place]
        length = len(rarest)
        if not length:
            return
        prefix = length - _least_shared(length, self._threshold) + 1
        for at, word in enumerate(rarest[:prefix]):
            by_length = self._texts.setdefault(word, {})
            by_place = by_length.setdefault(length, [])
            while len(by_place) <= at:
                by_place.append([])
            by_place[at].append(place)

    def nearest(self, place: int) -> Near | None:
        candidates = sorted(self._candidates(place))
        if not candidates:
            return None
        own, words = self._coded.words[place], self._coded.words
        best = process.extractOne(
            own,
            [words[other] for other in candidates],
            scorer=Indel.normalized_similarity,  # over words it is 2 LCS / (m + n)
            score_cutoff=float(self._threshold) - _ROUNDING,
        )
        if best is None:
            return None
        other = candidates[best[2]]
        shared, both = LCSseq.similarity(own, words[other]), len(own) + len(words[other])
        return Near(other, 2 * shared / both) if Fraction(2 * shared, both) > self._threshold else None

    def _candidates(self, place: int) -> set[int]:
        rarest = self._coded.rarest[place]
        if not rarest:
            return set()
        prefixes = _prefixes(len(rarest), self._threshold)
        candidates: set[int] = set()
        for at, word in enumerate(rarest[: len(rarest) - _least_shared(len(rarest), self._threshold) + 1]):
            for length, by_place in self._texts.get(word, {}).items():
                own, others = prefixes.get(length, (0, 0))
                if at < own:
                    for texts in by_place[:others]:
                        candidates.update(texts)
        return candidates


def _shared(m: int, n: int, threshold: Fraction) -> int:
    """Return how many words a LCS has at least where ROUGE-L of texts of m and n words is above the threshold."""
    return floor(threshold * (m + n) / 2) + 1


@cache
def _prefixes(m: int, threshold: Fraction) -> dict[int, tuple[int, int]]:
    """Return for each length n that can be alike how many of the rarest words of m, and of n, have one in common."""
    shortest = _shortest(m, threshold)
    # n words are too many where even m shared ones are too few
    longest = floor(m * (2 - threshold) / threshold)
    lengths = ((n, _shared(m, n, threshold)) for n in range(shortest, longest + 1))
    return {n: (m - shared + 1, n - shared + 1) for n, shared in lengths if shared <= min(m, n)}


@cache
def _least_shared(m: int, threshold: Fraction) -> int:
    """Return `_shared` with the shortest text that can be alike: no other needs fewer."""
    return min(_shared(m, _shortest(m, threshold), threshold), m)


def _shortest(m: int, threshold: Fraction) -> int:
    """Return the length of the shortest text that can be alike: all n words shared, 2n / (m + n) > threshold."""
    return floor(threshold * m / (2 - threshold)) + 1
