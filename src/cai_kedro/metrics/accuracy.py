"""How often the better of two answers got the higher score."""

import numpy as np
from numpy.typing import ArrayLike

from cai_kedro.metrics.estimate import Estimate, proportion


def pairwise_accuracy(margins: ArrayLike) -> Estimate:
    """Return the share of pairs with a positive margin (score of the better answer - score of the worse): (n,).

    A margin of 0 is half right, as a coin would be. Raises `ValueError` for none or for margins that are not a number.
    """
    array = np.asarray(margins, dtype=float)
    if array.size == 0 or np.isnan(array).any():
        raise ValueError(
            f"pairwise accuracy needs margins that are numbers, got {array.size} with {np.isnan(array).sum()} NaN"
        )
    return proportion(float((array > 0).sum() + 0.5 * (array == 0).sum()), int(array.size))
