"""Whether probabilities mean what they say: reliability table, expected calibration error (figure 9 of the paper)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cai_kedro.metrics.estimate import Estimate, percentile_interval, proportion, resampled_sums

Binning = Literal["equal_width", "equal_mass"]


@dataclass(frozen=True)
class Bins:
    """How probabilities are put into at most `number` bins; with `equal_mass`, equal values still share a bin."""

    number: int
    binning: Binning

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ValueError(f"the number of bins must be at least 1, got {self.number}")

    def of(self, p: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the bin of each probability: (n,)."""
        inner = np.arange(1, self.number) / self.number
        edges = inner if self.binning == "equal_width" else np.unique(np.quantile(p, inner))
        return np.searchsorted(edges, p, side="right")


def confidence_and_correct(
    p_a_better: ArrayLike, a_is_better: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how sure a label is of its own choice (n,) in [.5, 1] and whether that choice is right (n,).

    Which answer is called A is arbitrary; these two do not depend on it. A label of exactly .5 chooses neither and is
    half right.
    """
    p = np.asarray(p_a_better, dtype=float)
    truth = np.asarray(a_is_better, dtype=float)
    correct = np.where(p > 0.5, truth, np.where(p < 0.5, 1 - truth, 0.5))  # noqa: PLR2004 - no preference
    return np.maximum(p, 1 - p), correct


def reliability_table(p: ArrayLike, outcome: ArrayLike, bins: Bins) -> pd.DataFrame:
    """Compare predicted and observed shares bin by bin, empty bins left out.

    Columns: `mean_p`, and the observed share as `value` with its Wilson interval `low`, `high` and its `n`.
    """
    p, outcome = _checked(p, outcome)
    in_bin = bins.of(p)
    rows = []
    for number in np.unique(in_bin):
        chosen = in_bin == number
        rows.append({"mean_p": float(p[chosen].mean()), **proportion(float(outcome[chosen].sum()), int(chosen.sum()))})
    return pd.DataFrame(rows)


def expected_calibration_error(p: ArrayLike, outcome: ArrayLike, bins: Bins) -> float:
    """Return the mean gap between predicted and observed share, bins weighted by their size: in [0, 1]."""
    p, outcome = _checked(p, outcome)
    return float(np.abs(_gaps(p, outcome, bins).sum(axis=0)).sum() / len(p))


def calibration_error(p: ArrayLike, outcome: ArrayLike, bins: Bins, n_bootstrap: int, seed: int) -> Estimate:
    """Return the expected calibration error with a 95 % bootstrap interval for the true one.

    The plain error is too large on few rows (noise in a bin counts as a gap), and a resample doubles that. So the
    interval is the reflected one, 2 * value - quantiles, cut at 0 and widened to hold the value, which can stand at its
    upper end.
    """
    p, outcome = _checked(p, outcome)
    value = expected_calibration_error(p, outcome, bins)
    sums = resampled_sums(_gaps(p, outcome, bins), n_bootstrap, seed)
    below, above = percentile_interval(np.abs(sums).sum(axis=1) / len(p))
    low, high = 2 * value - above, 2 * value - below
    return Estimate(value=value, low=min(value, max(0.0, low)), high=max(value, min(1.0, high)), n=len(p))


def _checked(p: ArrayLike, outcome: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    p, outcome = np.asarray(p, dtype=float), np.asarray(outcome, dtype=float)
    if p.ndim != 1 or p.shape != outcome.shape or len(p) == 0:
        raise ValueError(f"calibration needs as many outcomes as probabilities, got {p.shape=}, {outcome.shape=}")
    if not (((p >= 0) & (p <= 1)).all() and ((outcome >= 0) & (outcome <= 1)).all()):
        raise ValueError("calibration needs probabilities and outcomes in [0, 1]")
    return p, outcome


def _gaps(p: NDArray[np.float64], outcome: NDArray[np.float64], bins: Bins) -> NDArray[np.float64]:
    """Return outcome - p in the column of its bin, 0 elsewhere: (n, bins used)."""
    numbers, column = np.unique(bins.of(p), return_inverse=True)
    gaps = np.zeros((len(p), len(numbers)))
    gaps[np.arange(len(p)), column] = outcome - p
    return gaps
