"""Boilerplate: what a policy says to everybody, by word sequences that come back with different prompts (§4.3; F12).

**Definition.** A sequence of `n` words is boilerplate when it stands in the answers to at least a share `common` of the
prompts, and to two at least. An answer's boilerplate is the share of its words that such sequences cover. Compare
policies on the same prompts and with as many answers each only: more answers, more repetition.

In a language with few ways to say a thing, as that of the micro world, most of what is right is said often, too.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cai_kedro.core.text import words_of

#: Frozen before they were scored (docs/experiments.md).
WORDS, COMMON = 4, 0.1


def boilerplate_shares(
    texts: Sequence[str], prompt_ids: Sequence[str], n: int = WORDS, common: float = COMMON
) -> NDArray[np.float64]:
    """Return the boilerplate of each answer of one policy: (answers,) in [0, 1]; 0 where it has less than n words.

    Raises `ValueError` unless n >= 1, 0 < common <= 1 and every text has a prompt.
    """
    if n < 1 or not 0 < common <= 1 or len(texts) != len(prompt_ids):
        raise ValueError(
            f"boilerplate needs n >= 1, 0 < common <= 1 and one prompt per answer, got {n=}, {common=}, "
            f"{len(texts)} answers and {len(prompt_ids)} prompts"
        )
    words = [words_of(text) for text in texts]
    prompts_of: dict[tuple[str, ...], set[str]] = {}
    for line, prompt_id in zip(words, prompt_ids, strict=True):
        for gram in _grams(line, n):
            prompts_of.setdefault(gram, set()).add(prompt_id)
    needed = max(2, common * len(set(prompt_ids)))
    said_often = {gram for gram, prompts in prompts_of.items() if len(prompts) >= needed}
    return np.array([_covered(line, n, said_often) for line in words])


def _grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def _covered(words: Sequence[str], n: int, grams: set[tuple[str, ...]]) -> float:
    covered = np.zeros(len(words), dtype=bool)
    for place, gram in enumerate(_grams(words, n)):
        if gram in grams:
            covered[place : place + n] = True
    return float(covered.mean()) if len(words) else 0.0
