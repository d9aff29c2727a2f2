"""Which neighbours in an Elo ranking are told apart, and how many more prompts would tell the others apart."""

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from cai_kedro.metrics.bradley_terry import ELO_PER_NAT, fit_ratings, strengths
from cai_kedro.metrics.estimate import CONFIDENCE, Estimate

#: The chance to find a gap that is really as large as it was measured, with the prompts that `more_prompts` adds.
POWER = 0.8


@dataclass(frozen=True)
class Gap:
    """Two neighbours in the ranking.

    `elo` is the lead of the upper one in Elo points, its `n` the prompts at which one of the two met anybody.
    `p_value` is two-sided, of the null hypothesis that the two are equally strong. `more_prompts` is how many prompts
    of the same kind to add: 0 where p is below 0.05, None where the two are even, so that no number would do.
    """

    upper: str
    lower: str
    elo: Estimate
    p_value: float
    more_prompts: int | None


def neighbour_gaps(head_to_heads: pd.DataFrame, reference: str, n_bootstrap: int, seed: int) -> list[Gap]:
    """Compare each policy with the next one below it, from the top of the ranking down.

    Arguments and errors as for `elo_ratings`. The p values are not corrected for the number of pairs, and the data that
    rank the policies also test the gaps. They come from a randomisation test over prompts, exact for few.
    """
    fitted = fit_ratings(head_to_heads, reference, n_bootstrap, seed)
    ranking = sorted(range(len(fitted.policies)), key=lambda i: -fitted.ratings[i])
    gaps = []
    for i, j in pairwise(ranking):
        upper, lower = fitted.policies[i], fitted.policies[j]
        surplus = surplus_per_prompt(head_to_heads, upper, lower)
        elo = Estimate(**{**fitted.above(upper, lower), "n": len(surplus)})
        p_value = sign_flip_p(surplus, n_bootstrap, seed)
        gaps.append(Gap(upper, lower, elo, p_value, more_prompts(surplus, p_value)))
    return gaps


def surplus_per_prompt(head_to_heads: pd.DataFrame, first: str, second: str) -> NDArray[np.float64]:
    """Return by how many points `first` did better than `second` at each prompt that had one of them: (prompts,).

    Counted against what was expected if both were equally strong, so that it makes no difference whom they met.
    """
    sides = head_to_heads[["policy_a", "policy_b"]]
    as_one = sides.replace(second, first)
    apart = as_one["policy_a"] != as_one["policy_b"]
    rating = strengths(head_to_heads.assign(**as_one.to_dict("series"))[apart], first) if apart.any() else {first: 0.0}
    elo_a, elo_b = (as_one[side].map(rating).to_numpy(dtype=float) for side in ("policy_a", "policy_b"))
    beyond = head_to_heads["outcome"].to_numpy(dtype=float) - 1 / (1 + np.exp((elo_b - elo_a) / ELO_PER_NAT))
    sign = {first: 1.0, second: -1.0}
    credit = sum(
        side * sides[name].map(sign).fillna(0.0).to_numpy() for side, name in ((1, "policy_a"), (-1, "policy_b"))
    )
    played = sides.isin([first, second]).any(axis=1).to_numpy()
    total = pd.Series((credit * beyond)[played]).groupby(head_to_heads["prompt_id"].to_numpy()[played], sort=True).sum()
    # what is left of points that cancel is rounding, not a lead
    return total.round(9).to_numpy(dtype=float)


def sign_flip_p(values: NDArray[np.float64], n_draws: int, seed: int) -> float:
    """Return the two-sided p value of a mean of 0 for independent values that are symmetric under it: (n,).

    The share of random sign flips whose sum is at least as far from 0, the values as they are counted as one flip.
    """
    if not np.isfinite(values).all():
        raise ValueError(
            f"a p value needs finite values, got {(~np.isfinite(values)).sum()} of {len(values)} that are not"
        )
    rng = np.random.default_rng(seed)
    observed = abs(values.sum()) - 1e-9  # sums of the same values in another order may differ by rounding
    flips = (rng.choice((-1.0, 1.0), size=len(values)) @ values for _ in range(n_draws))
    return (1 + sum(abs(total) >= observed for total in flips)) / (n_draws + 1)


def more_prompts(surplus: NDArray[np.float64], p_value: float) -> int | None:
    """Return how many prompts to add so that a gap like the measured one is found with a chance of `POWER`."""
    if p_value < 1 - CONFIDENCE:
        return 0
    spread = math.sqrt(float((surplus**2).sum()))
    z = abs(float(surplus.sum())) / spread if spread else 0.0
    if z < 1e-6:  # noqa: PLR2004 - even, but for rounding
        return None
    wanted = float(stats.norm.ppf((1 + CONFIDENCE) / 2) + stats.norm.ppf(POWER))
    return max(1, math.ceil(len(surplus) * ((wanted / z) ** 2 - 1)))
