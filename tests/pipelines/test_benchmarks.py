"""Shares of right choices and the verbose tax, on answers whose shares are known."""

import logging

import pandas as pd
import pytest

from cai_kedro.datasets.lm_eval_dataset import COLUMNS
from cai_kedro.pipelines.evaluation.benchmarks import measure_benchmarks
from cai_kedro.reporting.figures.benchmarks import draw_benchmarks

NAMES = {"policies": ("pretrained", "e", "v"), "engraved": "e", "verbose": "v"}


def answers(task: str, per_item: int = 1, **right: list[int]) -> pd.DataFrame:
    rows = [
        (policy, task, place // per_item, f"q{place}", float(value))
        for policy, values in right.items()
        for place, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def test_shares_of_each_policy_and_the_paired_tax() -> None:
    table = answers("truthfulqa_mc1", pretrained=[0, 0, 1, 0], e=[1, 1, 1, 0], v=[1, 0, 0])
    metrics = measure_benchmarks(table, **NAMES)
    assert {name: (each["value"], each["n"]) for name, each in metrics.items()} == {
        "benchmark.truthfulqa_mc1.pretrained": (0.25, 4),
        "benchmark.truthfulqa_mc1.e": (0.75, 4),
        "benchmark.truthfulqa_mc1.v": (pytest.approx(1 / 3), 3),
        "benchmark.truthfulqa_mc1.verbose_tax": (pytest.approx(-2 / 3), 3),
    }
    tax = metrics["benchmark.truthfulqa_mc1.verbose_tax"]
    assert tax["low"] is not None
    assert tax["high"] is not None
    assert -1 <= tax["low"] < -2 / 3 < tax["high"] < 1


def test_both_orders_of_a_comparison_are_one_observation() -> None:
    right = [1, 1, 0, 0] * 25
    once, both = (measure_benchmarks(answers("hhh", n, e=right), **NAMES)["benchmark.hhh.e"] for n in (1, 2))
    assert once["value"] == both["value"] == 0.5
    assert both["high"] - both["low"] > 1.3 * (once["high"] - once["low"])  # type: ignore[operator]


def test_questions_that_one_of_them_was_not_asked_are_not_compared() -> None:
    table = answers("truthfulqa_mc1", e=[1, 1], v=[0, 0])
    table.loc[table["policy"] == "v", "question"] = ["q0", "another"]
    assert measure_benchmarks(table, **NAMES)["benchmark.truthfulqa_mc1.verbose_tax"]["n"] == 1


def test_who_is_no_policy_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        metrics = measure_benchmarks(answers("hhh", rl_cay=[1], v=[1]), **NAMES)
    assert list(metrics) == ["benchmark.hhh.v"]
    assert "lm-eval wrote of 'rl_cay', and this run evaluates no such policy, only pretrained, e, v" in caplog.text


def test_the_figure_tells_every_share_and_the_tax() -> None:
    table = pd.concat(
        [answers("truthfulqa_mc1", pretrained=[0, 1], e=[1, 1], v=[1, 0]), answers("hhh", 2, pretrained=[1, 0])]
    )
    figure = draw_benchmarks(measure_benchmarks(table, **NAMES))
    assert [(bar.name, list(bar.x), list(bar.y)) for bar in figure.data] == [
        ("HHH, both orders", ["pretrained"], [50]),
        ("TruthfulQA MC1", ["pretrained", "e", "v"], [50, 100, 50]),
    ]
    found = figure.layout.meta["found"].replace("\xa0", " ")
    assert "TruthfulQA MC1: pretrained 50 % [" in found
    assert "Verbose less engraved, choice by choice: −50.0 points [" in found


def test_without_lm_eval_the_figure_says_so() -> None:
    figure = draw_benchmarks(measure_benchmarks(pd.DataFrame(columns=list(COLUMNS)), **NAMES))
    assert "Not measured: lm-eval wrote of no policy" in figure.layout.meta["found"]
