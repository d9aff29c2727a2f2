"""A number with its 95 % interval and the number of observations behind it."""

from collections.abc import Hashable, Sequence
from typing import TypedDict

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

CONFIDENCE = 0.95


class Estimate(TypedDict):
    """A value, its 95 % interval (None where one observation allows none) and the number of observations."""

    value: float
    low: float | None
    high: float | None
    n: int


def proportion(successes: float, n: int) -> Estimate:
    """Return the share of successes among n independent trials with its Wilson interval.

    Ties may count half: as outcomes stay within [0, 1], their variance is at most the binomial one, so the interval
    is then wider than needed, never narrower. Raises `ValueError` unless 0 <= successes <= n and n > 0.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"a share needs 0 <= successes <= n and n > 0, got {successes=}, {n=}")
    share = successes / n
    low, high = _wilson(share, n)
    return Estimate(value=share, low=low, high=high, n=n)


def bounded_mean(
    values: ArrayLike, lowest: float, highest: float, clusters: Sequence[Hashable] | None = None
) -> Estimate:
    """Return the mean of values (n,) on a scale from `lowest` to `highest`, with an interval that keeps to the scale.

    It is the Wilson interval of the mean's place on the scale, for so many trials as have the variance of this mean
    (Korn & Graubard 1998); for 0 and 1 it is that of `proportion`. `clusters` names what a value belongs to, such as
    its prompt: values of one cluster may be alike, and only clusters count as independent. The variance is that of the
    values and of one more cluster, half at each end of the scale: where all values agree, there is a width left. `n`
    counts the values. Raises `ValueError` for no values and for values that are not finite or off the scale.
    """
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all():
        raise ValueError(
            f"a mean needs finite values of shape (n,), n > 0; got shape {array.shape}, {_not_finite(array)} not finite"
        )
    if array.min() < lowest or array.max() > highest:
        raise ValueError(
            f"a mean on a scale from {lowest} to {highest} needs values on it, got {array.min()} to {array.max()}"
        )
    groups = np.arange(len(array)) if clusters is None else pd.factorize(np.asarray(clusters, dtype=object))[0]
    if len(groups) != len(array):
        raise ValueError(f"a mean needs one cluster per value, got {len(groups)} for {len(array)} values")
    places = (array - lowest) / (highest - lowest)
    ends = _wilson(float(places.mean()), _effective_n(places, groups))
    low, high = (lowest + (highest - lowest) * end for end in ends)
    value = float(array.mean())
    return Estimate(value=value, low=min(value, low), high=max(value, high), n=len(array))


def _wilson(share: float, n: float) -> tuple[float, float]:
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * float(np.sqrt(max(0.0, share * (1 - share)) / n + z**2 / (4 * n**2)))
    # at 0 and n successes the bounds touch 0 and 1; rounding must not carry them past the value
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))


def _effective_n(places: NDArray[np.float64], groups: NDArray[np.intp]) -> float:
    """Return how many independent trials of 0 and 1 have a mean of this variance: places in [0, 1], groups (n,)."""
    n = len(places)
    size = n / (groups.max() + 1)
    centre = (places.sum() + size / 2) / (n + size)
    of_groups = np.bincount(groups, weights=places - centre)
    # values of one group that are unlike each other are no better than independent ones
    spread = max((of_groups**2).sum(), ((places - centre) ** 2).sum()) + size**2 * (centre**2 + (1 - centre) ** 2) / 2
    return float(n * (n + size) * centre * (1 - centre) / spread)


def mean(values: ArrayLike) -> Estimate:
    """Return the mean of independent values (n,) with its t interval, without one where n = 1.

    For what has no ends, such as seconds and scores; what is on a scale takes `bounded_mean`.
    """
    array = np.asarray(values, dtype=float).ravel()
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(f"a mean needs finite values, at least one; got {array.size}, {_not_finite(array)} not finite")
    centre = float(array.mean())
    if array.size == 1:
        return Estimate(value=centre, low=None, high=None, n=1)
    error = float(array.std(ddof=1) / np.sqrt(array.size))
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, df=array.size - 1)) * error
    return Estimate(value=centre, low=centre - half, high=centre + half, n=int(array.size))


def paired_difference(first: ArrayLike, second: ArrayLike, n_bootstrap: int, seed: int) -> Estimate:
    """Return the mean of `first - second` over paired rows (n,) with its percentile bootstrap interval.

    For what has no ends, such as scores; of values on a scale take `bounded_mean(first - second, …)`, which keeps a
    width where all rows agree.
    """
    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    if differences.ndim != 1 or differences.size == 0 or not np.isfinite(differences).all():
        raise ValueError(f"a paired difference needs finite values of shape (n,), n > 0; got shape {differences.shape}")
    means = resampled_sums(differences[:, None], n_bootstrap, seed)[:, 0] / differences.size
    low, high = percentile_interval(means)
    return Estimate(value=float(differences.mean()), low=low, high=high, n=int(differences.size))


def resampled_sums(values: NDArray[np.float64], n_bootstrap: int, seed: int) -> NDArray[np.float64]:
    """Return the column sums of rows drawn with replacement: (n, k) → (n_bootstrap, k)."""
    if n_bootstrap < 1:
        raise ValueError(f"n_bootstrap must be at least 1, got {n_bootstrap}")
    rng = np.random.default_rng(seed)
    n = len(values)
    draws = (np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(n_bootstrap))
    return np.stack([draw @ values for draw in draws])


def percentile_interval(draws: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 2.5 % and the 97.5 % quantile of bootstrap draws (n_bootstrap,), which must be finite."""
    if len(draws) == 0 or not np.isfinite(draws).all():
        raise ValueError(f"an interval needs finite draws, got {len(draws)}, {_not_finite(draws)} not finite")
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _not_finite(array: NDArray[np.float64]) -> int:
    return int((~np.isfinite(array)).sum())
