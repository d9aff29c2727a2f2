"""How often the better of two answers got the higher score."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from cai_kedro.metrics.estimate import Estimate, bounded_mean


def pairwise_accuracy(margins: ArrayLike, clusters: Sequence[Hashable] | None = None) -> Estimate:
    """Return the share of pairs with a positive margin (score of the better answer - score of the worse): (n,).

    A margin of 0 is half right, as a coin would be. `clusters` names what a pair belongs to, such as its prompt: pairs
    of one prompt may be alike (`bounded_mean`). Raises `ValueError` for none or for margins that are not finite.
    """
    array = np.asarray(margins, dtype=float)
    if array.size == 0 or not np.isfinite(array).all():
        raise ValueError(
            f"pairwise accuracy needs finite margins, got {array.size} with {(~np.isfinite(array)).sum()} not finite"
        )
    return bounded_mean((np.sign(array) + 1) / 2, 0, 1, clusters)
