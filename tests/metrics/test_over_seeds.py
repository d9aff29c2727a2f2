"""A mean over seeds with its interval, and the power calculation against simulated studies."""

import math

import numpy as np
import pytest
from scipy import stats

from cai_kedro.metrics.over_seeds import detectable, over_seeds


def test_a_t_interval_where_prompts_add_nothing() -> None:
    # 2, 4, 6: mean 4, sd 2; t(2) = 4.3027; 4.3027 * 2 / sqrt(3) = 4.968
    over = over_seeds([2, 4, 6], [0, 0, 0])
    assert (over.mean, over.sd, over.lowest, over.highest, over.seeds) == (4, 2, 2, 6, 3)
    assert over.freedom == pytest.approx(2)
    assert (over.low, over.high) == (pytest.approx(4 - 4.968, abs=1e-3), pytest.approx(4 + 4.968, abs=1e-3))


def test_more_seeds_do_not_lower_what_the_prompts_add() -> None:
    many = over_seeds([1.0, 3.0] * 500, [1.96] * 1000)
    assert many.error == pytest.approx(math.sqrt(1 + 1 / 1000), rel=1e-3)
    alike = over_seeds([5, 5, 5], [1.96, 1.96, 1.96])
    assert alike.freedom == math.inf
    assert (alike.low, alike.high) == (pytest.approx(3.04, abs=1e-3), pytest.approx(6.96, abs=1e-3))


def test_with_fewer_than_three_seeds_there_is_no_interval() -> None:
    one, two = over_seeds([1], [0.1]), over_seeds([1, 2], [0.1, 0.1])
    assert (one.sd, one.low, one.error) == (None, None, None)
    assert two.sd == pytest.approx(math.sqrt(0.5))
    assert (two.low, two.high, two.freedom) == (None, None, None)


@pytest.mark.parametrize(
    ("values", "halves", "told"),
    [([], [], "one value and one half-width"), ([1, 2], [0], "one value"), ([1, math.nan], [0, 0], "must be finite")],
)
def test_what_cannot_be_put_together_is_refused(values: list[float], halves: list[float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        over_seeds(values, halves)


def test_without_spread_the_difference_is_that_of_a_normal_test() -> None:
    # 1.95996 + 0.84162
    assert detectable(10.0, math.inf) == pytest.approx(28.0159, abs=1e-3)
    assert detectable(10.0, 1e6) == pytest.approx(28.0159, abs=1e-2)
    assert detectable(0.0, math.inf) == 0.0
    assert detectable(1.0, 2) > detectable(1.0, 4) > detectable(1.0, math.inf)
    with pytest.raises(ValueError, match="freedom > 0"):
        detectable(1.0, 0)


@pytest.mark.parametrize(("seeds", "power"), [(3, 0.8), (5, 0.8), (5, 0.5)])
def test_studies_of_that_size_find_that_difference_as_often(seeds: int, power: float) -> None:
    """Draw many studies whose true difference is the detectable one; the seeds' spread is all there is."""
    sd = 7.0
    difference = detectable(sd / math.sqrt(seeds), seeds - 1, power)
    rng = np.random.default_rng(0)
    drawn = rng.normal(difference, sd, size=(20_000, seeds))
    means, errors = drawn.mean(axis=1), drawn.std(axis=1, ddof=1) / math.sqrt(seeds)
    found = float((means - stats.t.ppf(0.975, seeds - 1) * errors > 0).mean())
    assert found == pytest.approx(power, abs=4 * math.sqrt(power * (1 - power) / 20_000))


def test_with_prompts_too_studies_find_it_about_as_often() -> None:
    """The prompts' error is one draw a study, the same for all seeds, as all seeds are asked the same prompts."""
    seeds, sd, of_prompts = 5, 4.0, 3.0
    of_seeds = sd**2 / seeds
    error = math.sqrt(of_seeds + of_prompts**2)
    difference = detectable(error, error**4 * (seeds - 1) / of_seeds**2)
    rng = np.random.default_rng(1)
    found = []
    for _ in range(4000):
        values = difference + rng.normal(0, of_prompts) + rng.normal(0, sd, size=seeds)
        low = over_seeds(values.tolist(), [1.959964 * of_prompts] * seeds).low
        found.append(low is not None and low > 0)
    assert np.mean(found) == pytest.approx(0.8, abs=0.03)
