"""How varied texts are."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from cai_kedro.metrics.estimate import CONFIDENCE, Estimate

_GROUPS = 10


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Return distinct word n-grams over all word n-grams of the texts: 1 where none repeats, near 0 for one phrase.

    It falls as the number of words grows, so compare samples of the same size only. 0 where no text has n words.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    words = [text.lower().split() for text in texts]
    grams = [tuple(line[i : i + n]) for line in words for i in range(len(line) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def distinct_n_estimate(texts: Sequence[str], n: int) -> Estimate:
    """Return `distinct_n` with a 95 % interval: a jackknife over ten groups of texts (every tenth text is one).

    A bootstrap would not do: texts drawn twice repeat by construction. No interval below twenty texts.
    """
    value = distinct_n(texts, n)
    if len(texts) < 2 * _GROUPS:
        return Estimate(value=value, low=None, high=None, n=len(texts))
    left_out = [[text for i, text in enumerate(texts) if i % _GROUPS != group] for group in range(_GROUPS)]
    parts = np.array([distinct_n(part, n) for part in left_out])
    error = float(np.sqrt((_GROUPS - 1) / _GROUPS * ((parts - parts.mean()) ** 2).sum()))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, df=_GROUPS - 1)) * error
    return Estimate(value=value, low=max(0.0, value - half), high=min(1.0, value + half), n=len(texts))
