"""The arithmetic of a plan, against numbers worked out by hand."""

import math

import pytest

from cai_kedro.metrics.estimate import Estimate
from cai_kedro.metrics.workload import Cost, Load, Prices, Sizes, load_of, model_bytes, paper_sizes, total_of

ARMS = {
    "helpful_rlhf": ("human_helpfulness", "human_red_team_helpfulness"),
    "hh_rlhf": ("human_helpfulness", "human_harmlessness"),
    "rl_cai": ("ai", "human_helpfulness", "sl_helpfulness"),
    "rl_cai_cot": ("ai_cot", "human_helpfulness", "sl_helpfulness"),
}
SIZES = Sizes(
    red_team_lists=200,
    initial_responses=600,
    helpful_responses=800,
    rounds=3,
    human_helpful_pairs=11,
    human_red_team_pairs=12,
    harmlessness_pairs=13,
    cot_pairs=7,
    sl_helpful_pairs=14,
    eval_answers=15,
    fine_tuning_rows=16,
    comparisons=17,
    episodes=18,
    references=0,
    judged_replies=0,
    direct_comparisons=0,
    checkpoints=9,
    snapshots=19,
)


def seconds(value: float, half: float | None) -> Estimate:
    low, high = (None, None) if half is None else (value - half, value + half)
    return Estimate(value=value, low=low, high=high, n=3)


def cost(value: float = 7.2, half: float | None = 1.8) -> Cost:
    return Cost(2.0, 1000.0, 750.0, 120.0, seconds(value, half), 480.0)


def test_rows_of_the_stages() -> None:
    units = SIZES.units()
    assert units["revisions"] == units["direct_revisions"] == 1800  # 600 answers, 3 rounds
    assert units["labels"] == units["harmlessness_pairs"] == 13
    assert units["cot_labels"] == 7
    assert list(units)[:3] == ["human_helpful_pairs", "human_red_team_pairs", "red_team_lists"]


def test_the_papers_rows() -> None:
    paper = paper_sizes(SIZES, ARMS, {"rl_cai_dpo": ("ai",)}, lists_per_prompt=200 / 300, epochs=(1, 2, 3))
    units = paper.units()
    # 42,496 + 140,335 = 182,831 prompts; one answer each, then four rounds of a critique and a revision
    assert units["initial_responses"] == 182_831
    assert units["initial_responses"] + 2 * units["revisions"] == 1_645_479  # the 1.645 million calls of §3.2
    assert units["labels"] == 182_831
    assert units["helpful_responses"] == 270_592
    # 182,831 × 4 revisions and 2 × 135,296 helpful answers
    assert paper.fine_tuning_rows == 731_324 + 270_592
    # two epochs of 135,296 + (135,296 + 42,496) + 2 × (135,296 + 182,831)
    assert paper.comparisons == 2 * (135_296 + 177_792 + 2 * 318_127)
    assert paper.direct_comparisons == units["direct_preference"] == 3 * 182_831
    assert units["red_team_lists"] == 93_557  # 140,335 × 2/3 = 93,556.67
    assert (units["rl"], units["eval_responses"]) == (18, 15)  # the paper does not say


def test_the_paper_asks_no_people_where_the_run_asks_none() -> None:
    without = paper_sizes(
        SIZES, {"rl_cai": ("ai", "sl_helpfulness")}, {}, lists_per_prompt=1.0, epochs=(1, 1, 0)
    ).units()
    assert (without["human_helpful_pairs"], without["human_red_team_pairs"]) == (0, 0)
    with_people = paper_sizes(SIZES, ARMS, {}, lists_per_prompt=1.0, epochs=(1, 1, 0)).units()
    assert (with_people["human_helpful_pairs"], with_people["human_red_team_pairs"]) == (135_296, 42_496)


def test_load_of_rows() -> None:
    load = load_of(cost(), rows=500)
    assert (load.calls, load.prompt_tokens, load.shared_tokens, load.written_tokens) == (1000, 500_000, 375_000, 60_000)
    # 500 × 7.2 s = 1 h, ± 500 × 1.8 s = a quarter
    assert load.hours == {"value": 1.0, "low": 0.75, "high": 1.25, "n": 3}
    assert load.stored_bytes == 240_000
    assert load_of(cost(1.0, 2.0), rows=3600).hours["low"] == 0.0  # no hours below zero
    assert load_of(cost(half=None), rows=500).hours == {"value": 1.0, "low": None, "high": None, "n": 3}


def test_totals_add_half_widths_in_quadrature() -> None:
    loads = {"a": load_of(cost(7.2, 2.16), 500), "b": load_of(cost(7.2, 2.88), 1000)}
    total = total_of(loads)
    assert total.calls == 3000
    # ± 0.3 h and ± 0.8 h are together ± sqrt(0.73) h
    assert total.hours["value"] == pytest.approx(3.0)
    assert total.hours["high"] == pytest.approx(3.0 + math.sqrt(0.09 + 0.64))
    assert total.hours["low"] == pytest.approx(3.0 - math.sqrt(0.09 + 0.64))
    unknown = total_of({**loads, "c": load_of(cost(half=None), 1)}).hours
    assert (unknown["low"], unknown["high"]) == (None, None)


def test_price_of_tokens() -> None:
    load = Load(1, 1, 4_000_000, 3_000_000, 500_000, seconds(1, None), 0)
    # 1 M own at 2.00, 3 M cached at 0.20, half a million written at 8.00
    assert load.price(Prices(prompt=2.0, cached=0.2, written=8.0)) == pytest.approx(2.0 + 0.6 + 4.0)


def test_bytes_of_checkpoints() -> None:
    # SL-CAI, four preference models, four policies and two snapshots, four bytes a parameter
    assert model_bytes(1_000_000, checkpoints=9, snapshots=2) == 44_000_000
