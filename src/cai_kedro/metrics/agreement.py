"""How far readers or raters agree, and how far beyond chance."""

from collections.abc import Hashable, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from cai_kedro.metrics.estimate import Estimate, bounded_mean, percentile_interval

_DRAWS = 1000
_TWO = 2


def agreement(items: Sequence[Sequence[Hashable]]) -> Estimate:
    """Return how often two of those who labelled an item gave it the same label, as the mean over items.

    `items` holds the labels of each item, by however many labelled it, in any order; an item with one label or none
    says nothing and does not count. Raises `ValueError` where no item has two.
    """
    shares = [
        float(np.mean([one == other for one, other in combinations(labels, 2)])) for labels in _with_two_labels(items)
    ]
    return bounded_mean(shares, 0, 1)


def krippendorff_alpha(items: Sequence[Sequence[Hashable]], seed: int = 0) -> Estimate:
    """Return Krippendorff's alpha of nominal labels, with its percentile bootstrap interval over the items.

    1 is full agreement, 0 what comes of labels drawn at random from all that were given. `items` as in `agreement`: not
    everybody has to label everything (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability). Raises
    `ValueError` where no item has two labels, and where all labels are one and the same: chance agrees as well.
    """
    labelled = _with_two_labels(items)
    names, codes = np.unique([str(label) for labels in labelled for label in labels], return_inverse=True)
    if len(names) == 1:
        raise ValueError(
            f"every label is {str(names[0])!r}, so what chance does and with it alpha is not defined; report n alone"
        )
    item_of = np.repeat(np.arange(len(labelled)), [len(labels) for labels in labelled])
    counts = np.zeros((len(labelled), len(names)))
    np.add.at(counts, (item_of, codes), 1)
    rng = np.random.default_rng(seed)
    draws = [_alpha(counts[rng.integers(len(counts), size=len(counts))]) for _ in range(_DRAWS)]
    value = _alpha(counts)
    low, high = percentile_interval(np.asarray([draw for draw in draws if np.isfinite(draw)]))
    return Estimate(value=value, low=min(low, value), high=max(high, value), n=len(counts))


def _alpha(counts: NDArray[np.float64]) -> float:
    """Return alpha of how often each item got each label (items, labels); NaN where one label is all there is."""
    given = counts.sum(axis=1)
    unlike = (given**2 - (counts**2).sum(axis=1)) / (given - 1)
    of_label = counts.sum(axis=0)
    total = of_label.sum()
    by_chance = (total**2 - (of_label**2).sum()) / (total * (total - 1))
    return float(1 - unlike.sum() / total / by_chance) if by_chance > 0 else float("nan")


def _with_two_labels(items: Sequence[Sequence[Hashable]]) -> list[Sequence[Hashable]]:
    labelled = [labels for labels in items if len(labels) >= _TWO]
    if not labelled:
        raise ValueError(f"agreement needs items with two labels at least; none of {len(items)} has them")
    return labelled
