"""A number with its 95 % interval and the number of observations behind it."""

from typing import TypedDict

import numpy as np
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
    """Return the share of successes with its Wilson interval.

    Ties may count half: as outcomes stay within [0, 1], their variance is at most the binomial one, so the interval
    is then wider than needed, never narrower. Raises `ValueError` unless 0 <= successes <= n and n > 0.
    """
    if n <= 0 or not 0 <= successes <= n:
        raise ValueError(f"a share needs 0 <= successes <= n and n > 0, got {successes=}, {n=}")
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * float(np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)))
    # at 0 and n successes the bounds touch 0 and 1; rounding must not carry them past the value
    return Estimate(value=share, low=min(share, max(0.0, centre - half)), high=max(share, min(1.0, centre + half)), n=n)


def mean(values: ArrayLike) -> Estimate:
    """Return the mean of independent values (n,) with its t interval, without one where n = 1."""
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
    """Return the mean of `first - second` over paired rows (n,) with its percentile bootstrap interval."""
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
    """Return the 2.5 % and the 97.5 % quantile of bootstrap draws (n_bootstrap,)."""
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _not_finite(array: NDArray[np.float64]) -> int:
    return int((~np.isfinite(array)).sum())
