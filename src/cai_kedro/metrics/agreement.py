"""How far two readers agree beyond chance."""

from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd

from cai_kedro.metrics.estimate import Estimate, percentile_interval, proportion

_DRAWS = 1000


def agreement(first: Sequence[Hashable], second: Sequence[Hashable]) -> Estimate:
    """Return the share of the labels (n,) that two readers gave alike, with its Wilson interval."""
    return proportion(sum(one == other for one, other in zip(first, second, strict=True)), len(first))


def cohen_kappa(first: Sequence[Hashable], second: Sequence[Hashable], seed: int = 0) -> Estimate:
    """Return Cohen's kappa of the labels (n,) of two readers, with its percentile bootstrap interval over the items.

    1 is full agreement, 0 what two readers reach who label at random, each with labels as often as these two. Raises
    `ValueError` for no labels, and where both readers gave one and the same label throughout: chance agrees as well.
    """
    if not first or len(first) != len(second):
        raise ValueError(f"kappa needs as many labels of both readers, at least one; got {len(first)}, {len(second)}")
    names, codes = np.unique(np.asarray([*map(str, first), *map(str, second)]), return_inverse=True)
    pairs = pd.DataFrame({"first": codes[: len(first)], "second": codes[len(first) :]}).to_numpy()
    if len(names) == 1:
        raise ValueError(
            f"both readers gave the label {str(names[0])!r} throughout, so kappa is not defined; report n alone"
        )
    rng = np.random.default_rng(seed)
    draws = [_kappa(pairs[rng.integers(len(pairs), size=len(pairs))], len(names)) for _ in range(_DRAWS)]
    value = _kappa(pairs, len(names))
    low, high = percentile_interval(np.asarray([draw for draw in draws if np.isfinite(draw)]))
    return Estimate(value=value, low=min(low, value), high=max(high, value), n=len(pairs))


def _kappa(pairs: np.ndarray, n_labels: int) -> float:
    """Return kappa of pairs of codes (n, 2); NaN where one label is all there is."""
    alike = float((pairs[:, 0] == pairs[:, 1]).mean())
    shares = [np.bincount(pairs[:, reader], minlength=n_labels) / len(pairs) for reader in (0, 1)]
    by_chance = float(shares[0] @ shares[1])
    return (alike - by_chance) / (1 - by_chance) if by_chance < 1 else float("nan")
