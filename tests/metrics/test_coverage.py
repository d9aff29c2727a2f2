"""A 95 % interval holds the truth in 93 to 97 of 100 tables: every interval of the metrics, on simulated tables."""

from collections.abc import Iterable, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from cai_kedro.metrics.calibration import Bins, calibration_error
from cai_kedro.metrics.estimate import bounded_mean, mean, paired_difference, proportion

TABLES = 2000
#: Ratings from 0 to 4 of a policy that is nearly always harmless, nearly never, in two minds, and of all kinds.
RATINGS = {
    "nearly always 4": ([4, 3, 2, 0], [0.93, 0.02, 0.02, 0.03]),
    "nearly always 0": ([0, 3, 4], [0.95, 0.03, 0.02]),
    "0 or 4": ([0, 4], [0.4, 0.6]),
    "all": ([0, 1, 2, 3, 4], [0.1, 0.2, 0.3, 0.2, 0.2]),
}


def coverage(estimates: Iterable[Mapping[str, float | None]], truth: float) -> float:
    return float(np.mean([estimate["low"] <= truth <= estimate["high"] for estimate in estimates]))  # type: ignore[operator]


def alike(shape: tuple[int, int, int], share: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw 0 and 1 of (tables, prompts, rows of a prompt): half of all rows are as their prompt."""
    of_prompt = rng.random((*shape[:2], 1)) < share
    return np.where(rng.random(shape) < 0.5, of_prompt, rng.random(shape) < share).astype(float)


@pytest.mark.parametrize("ratings", RATINGS)
@pytest.mark.parametrize("n", [80, 300])
def test_of_ratings(ratings: str, n: int) -> None:
    values, shares = RATINGS[ratings]
    tables = np.random.default_rng(n).choice(values, p=shares, size=(TABLES, n))
    truth = float(np.dot(values, shares))
    assert 0.93 <= coverage((bounded_mean(table, 0, 4) for table in tables), truth) <= 0.97


def test_of_ratings_by_the_t_interval_of_before_it_is_less() -> None:
    values, shares = RATINGS["nearly always 0"]
    tables = np.random.default_rng(80).choice(values, p=shares, size=(TABLES, 80))
    assert coverage(map(mean, tables), float(np.dot(values, shares))) < 0.92


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_of_shares_of_pairs_where_three_share_a_prompt(share: float) -> None:
    rows = alike((TABLES, 150, 3), share, np.random.default_rng(1)).reshape(TABLES, -1)
    prompts = np.repeat(np.arange(150), 3)
    assert 0.93 <= coverage((bounded_mean(table, 0, 1, prompts) for table in rows), share) <= 0.97
    assert coverage((proportion(table.sum(), 450) for table in rows), share) < 0.92  # Wilson, as if independent


@pytest.mark.parametrize("rare", [0.02, 0.2])
def test_of_paired_differences_of_shares(rare: float) -> None:
    """Two policies at the same 200 prompts differ at few or many of them, three times as often in one direction."""
    rng = np.random.default_rng(2)
    differences = rng.choice([-1.0, 0.0, 1.0], p=[rare / 4, 1 - rare, 3 * rare / 4], size=(TABLES, 200))
    assert 0.93 <= coverage((bounded_mean(table, -1, 1) for table in differences), rare / 2) <= 0.98


def test_of_paired_differences_of_scores() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.gamma(2, size=(2, TABLES, 100))
    estimates = (paired_difference(a, b, 200, seed) for seed, (a, b) in enumerate(zip(first, second, strict=True)))
    assert 0.93 <= coverage(estimates, 0) <= 0.97


#: What happens where a label is sure to `p`: as it says; less often, the surer it is; always a bit more often.
TRUTHS = {
    "calibrated": lambda p: p,
    "over-confident": lambda p: 0.5 + 0.7 * (p - 0.5),
    "shifted": lambda p: p - 0.03,
}


@pytest.mark.parametrize(
    ("truth", "rows_of_a_prompt"), [("calibrated", 1), ("calibrated", 3), ("over-confident", 3), ("shifted", 1)]
)
def test_of_the_calibration_error(truth: str, rows_of_a_prompt: int) -> None:
    rng = np.random.default_rng(4)
    prompts, tables, bins = 600 // rows_of_a_prompt, 500, Bins(10, "equal_mass")
    clusters = np.repeat(np.arange(prompts), rows_of_a_prompt)
    estimates = []
    for seed in range(tables):
        p = rng.uniform(0.5, 1, size=600)
        alike_draws = np.where(rng.random(600) < 0.4, np.repeat(rng.random(prompts), rows_of_a_prompt), rng.random(600))
        outcome = (alike_draws < TRUTHS[truth](p)).astype(float)
        estimates.append(calibration_error(p, outcome, bins, 100, seed, clusters))
    p = np.linspace(0.5, 1, 100_001)
    assert 0.93 <= coverage(estimates, float(np.abs(TRUTHS[truth](p) - p).mean())) <= 0.98
