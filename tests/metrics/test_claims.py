"""Verdicts on made-up figures with known answers."""

from collections.abc import Sequence

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cai_kedro.metrics.between_runs import NOT_TOLD_APART
from cai_kedro.metrics.claims import (
    AGREES,
    DIFFERS,
    FEW_SEEDS,
    NOT_MEASURED,
    Claim,
    judge_claims,
    verdict,
)
from cai_kedro.metrics.over_seeds import over_seeds


def claim(expected: str = "above", **others: object) -> Claim:
    given = {"id": "x", "claim": "a is above b", "paper": "figure 2", "quantity": "a - b", "matters": 10.0}
    return Claim.model_validate({**given, "expected": expected, **others})


def figures(values: dict[tuple[str, str], Sequence[float]], half: float | None = None) -> pd.DataFrame:
    rows = [
        (
            setting,
            seed,
            metric,
            value,
            None if half is None else value - half,
            None if half is None else value + half,
            600,
        )
        for (setting, metric), of_seeds in values.items()
        for seed, value in enumerate(of_seeds)
    ]
    table = pd.DataFrame(rows, columns=["setting", "seed", "metric", "value", "low", "high", "n"])
    return table.astype({"low": float, "high": float})


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([100, 104, 96], AGREES),  # 90 to 110
        ([-100, -104, -96], DIFFERS),
        ([1, 2, 0], DIFFERS),  # -1.5 to 3.5: nothing that matters
        ([20, 60, -20], NOT_TOLD_APART),
        ([6, 6.5, 5.5], DIFFERS),  # told apart from 0, and too little
    ],
)
def test_an_interval_decides(values: list[float], said: str) -> None:
    assert verdict(over_seeds(values, [0, 0, 0]), claim())[0] == said


def test_the_same_is_a_claim_too() -> None:
    same = claim("same", than=1.0)
    assert verdict(over_seeds([1, 2, 0], [0, 0, 0]), same)[0] == AGREES
    assert verdict(over_seeds([100, 104, 96], [0, 0, 0]), same)[0] == DIFFERS
    assert verdict(over_seeds([11, 31, -9], [0, 0, 0]), same)[0] == NOT_TOLD_APART
    with pytest.raises(ValidationError, match="must be above 0"):
        claim("same", matters=0.0)


_VALUES = st.lists(st.floats(-1e3, 1e3).map(lambda value: round(value, 3)), min_size=3, max_size=6)


@given(_VALUES, st.floats(0, 100), st.floats(0, 200))
def test_what_agrees_differs_with_the_sign_turned(values: list[float], half: float, matters: float) -> None:
    halves = [half] * len(values)
    there, turned = over_seeds(values, halves), over_seeds([-value for value in values], halves)
    above, below = claim("above", matters=matters), claim("below", matters=matters)
    if verdict(there, above)[0] == AGREES:
        assert verdict(turned, above)[0] == DIFFERS
        assert verdict(there, below)[0] == DIFFERS
    assert verdict(there, above) == verdict(turned, below)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=2), st.sampled_from(["above", "below", "same"]))
def test_one_or_two_seeds_decide_nothing(values: list[float], expected: str) -> None:
    assert verdict(over_seeds(values, [0.0] * len(values)), claim(expected)) == (NOT_TOLD_APART, FEW_SEEDS)


def test_at_the_ceiling_nothing_can_differ() -> None:
    over = over_seeds([0.005, 0.006, 0.004], [0, 0, 0])
    accuracy = claim(matters=0.03, chance=0.5, ceiling=1.0)
    said, note = verdict(over, accuracy, second=0.985)
    assert (said, note) == (NOT_TOLD_APART, "at the ceiling: no more than 0.015 is left above 0.985")
    assert verdict(over, accuracy, second=0.80)[0] == DIFFERS
    worse = over_seeds([-0.05, -0.06, -0.04], [0, 0, 0])
    assert verdict(worse, accuracy, second=0.985)[0] == DIFFERS


def test_a_quantity_is_paired_by_seed_and_by_setting() -> None:
    table = figures(
        {
            ("default", "a"): [500, 520, 540],
            ("default", "b"): [400, 415, 425],
            ("inverted", "a"): [10, 0, 5],
            ("inverted", "b"): [30, 10, 20],
        },
        half=10.0,
    )
    within, between, elsewhere = judge_claims(
        table,
        [claim(), claim(quantity="a", against="inverted", headline=True), claim(setting="silent")],
        ["default", "inverted"],
    ).to_dict("records")
    # 100, 105, 115
    assert (within["mean"], within["values"], within["n"], within["seeds"]) == (
        pytest.approx(320 / 3),
        "0: 100; 1: 105; 2: 115",
        600,
        3,
    )
    assert within["half_width"] == pytest.approx(200**0.5)
    assert (within["first"], within["second"]) == (520, pytest.approx(1240 / 3))
    assert within["verdict"] == AGREES
    assert within["detectable"] > within["high"] - within["mean"]
    assert (between["setting"], between["values"]) == ("default - inverted", "0: 490; 1: 520; 2: 535")
    assert (elsewhere["verdict"], elsewhere["seeds"]) == (NOT_MEASURED, 0)


def test_a_seed_that_lacks_one_of_two_figures_does_not_count() -> None:
    table = figures({("default", "a"): [500, 520, 540], ("default", "b"): [400, 415]})
    (row,) = judge_claims(table, [claim()], ["default"]).to_dict("records")
    assert (row["seeds"], row["verdict"], row["note"]) == (2, NOT_TOLD_APART, FEW_SEEDS)


def test_a_quantity_is_one_metric_or_a_difference() -> None:
    with pytest.raises(ValidationError, match="must be a metric or `a - b`"):
        claim(quantity="a - b - c")
    with pytest.raises(ValidationError, match="Extra inputs"):
        claim(setings="default")
    with pytest.raises(ValueError, match="missing low, high"):
        judge_claims(pd.DataFrame(columns=["setting", "seed", "metric", "value", "n"]), [claim()], ["default"])
