"""What a quantity is over several trainings with the same settings, and which difference such a design would find.

Two things move a figure: another seed (seen as the spread of the seeds' values) and other prompts (the interval of
each seed). More seeds lower the first part alone, because all seeds are asked the same prompts.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from cai_kedro.metrics.between_runs import MIN_RUNS

#: The chance with which a design has to find a difference, for `detectable`.
POWER = 0.8
_Z = float(stats.norm.ppf(0.975))


@dataclass(frozen=True)
class OverSeeds:
    """A quantity over seeds.

    `sd` is the standard deviation of the seeds' values, None for one seed. `half_width` is that of a 95 % interval over
    prompts inside one seed. `error` is the standard error of the mean, `freedom` its degrees of freedom; both, and the
    95 % interval `low` to `high`, are None with fewer than `MIN_RUNS` seeds.
    """

    mean: float
    lowest: float
    highest: float
    sd: float | None
    half_width: float
    error: float | None
    freedom: float | None
    low: float | None
    high: float | None
    seeds: int


def over_seeds(values: Sequence[float], half_widths: Sequence[float]) -> OverSeeds:
    """Put the seeds' values (seeds,) and the half-widths of their intervals over prompts (seeds,) together.

    The variance of the mean is that of the values over their number, and the squared standard error over prompts. The
    spread of the values holds some noise of the prompts' answers already, so the interval is wider than need be, never
    narrower. Degrees of freedom by Satterthwaite. Raises `ValueError` for no values, for another number of half-widths,
    and for what is not finite; a half-width of 0 says that there is no interval, as of a reference.
    """
    array, halves = np.asarray(values, dtype=float), np.asarray(half_widths, dtype=float)
    if array.ndim != 1 or array.size == 0 or array.shape != halves.shape:
        raise ValueError(
            f"seeds need one value and one half-width each, got shapes {array.shape} and {halves.shape}; give both "
            f"for every seed"
        )
    if not (np.isfinite(array).all() and np.isfinite(halves).all() and (halves >= 0).all()):
        raise ValueError(f"values and half-widths of seeds must be finite, got {array.tolist()} and {halves.tolist()}")
    seeds, mean = int(array.size), float(array.mean())
    sd = float(array.std(ddof=1)) if seeds > 1 else None
    half_width = float(halves.mean())
    error = freedom = low = high = None
    if sd is not None and seeds >= MIN_RUNS:
        of_seeds, of_prompts = sd**2 / seeds, (half_width / _Z) ** 2
        error = math.sqrt(of_seeds + of_prompts)
        # no spread at all: as many degrees of freedom as one likes
        freedom = (of_seeds + of_prompts) ** 2 * (seeds - 1) / of_seeds**2 if of_seeds > 0 else math.inf
        reach = float(stats.t.ppf(0.975, freedom)) * error
        low, high = mean - reach, mean + reach
    return OverSeeds(mean, float(array.min()), float(array.max()), sd, half_width, error, freedom, low, high, seeds)


def detectable(error: float, freedom: float, power: float = POWER) -> float:
    """Return the true difference that a two-sided test at 5 % finds with this chance, in the unit of `error`.

    From the noncentral t distribution with these degrees of freedom. Raises `ValueError` for an error below 0, no
    degrees of freedom, or a power that is not above 0.05 and below 1.
    """
    if error < 0 or freedom <= 0 or not 0.05 < power < 1:  # noqa: PLR2004 - the level of the test
        raise ValueError(
            f"a power calculation needs error >= 0, freedom > 0, 0.05 < power < 1; got {error=}, {freedom=}, {power=}"
        )
    bound = float(stats.t.ppf(0.975, freedom))
    if math.isinf(freedom):  # the noncentral t of SciPy takes no infinite number
        return error * _solved(lambda shift: float(stats.norm.sf(bound - shift)), power)
    # found on the wrong side does not count; where the power is worth having, that hardly happens
    return error * _solved(lambda shift: float(stats.nct.sf(bound, freedom, shift)), power)


def _solved(chance: Callable[[float], float], power: float) -> float:
    above = 1.0
    while chance(above) < power:
        above *= 2
    return float(optimize.brentq(lambda shift: chance(shift) - power, 0.0, above))
