import pandas as pd
import pytest

from cai_kedro.metrics.estimate import proportion
from cai_kedro.metrics.role_check import (
    BETTER,
    WORSE,
    Bars,
    Setting,
    judge_comparisons,
    judge_critiques,
    measure_comparisons,
    measure_critiques,
    next_choice,
    told,
)

BARS = Bars(min_accuracy=0.75, max_contradictions=0.5, min_naming=0.5)


def answers(*rows: tuple[str, str, float, float]) -> pd.DataFrame:
    """Rows of (kind, asks_for, P(A) with the better as A, P(A) with it as B)."""
    table = pd.DataFrame(rows, columns=["kind", "asks_for", "p_first", "p_second"])
    return table.assign(item_id=[f"p{i}" for i in range(len(rows))])


def test_figures_by_hand() -> None:
    table = answers(
        ("complies", BETTER, 0.9, 0.3),  # p of the better (0.9 + 0.7) / 2 = 0.8
        ("complies", BETTER, 0.9, 0.8),  # 0.55, the letter A twice
        ("evades", BETTER, 0.2, 0.6),  # 0.3
        ("evades", BETTER, 0.5, 0.5),  # 0.5: half right
        ("complies", WORSE, 0.1, 0.7),  # p of the better 0.2: right
        ("evades", WORSE, 0.6, 0.4),  # 0.6: wrong
    )
    figures = measure_comparisons(table, both_orders=True)
    assert figures["accuracy"]["value"] == pytest.approx(2.5 / 4)
    assert figures["accuracy"]["n"] == 4
    assert figures["accuracy.complies"]["value"] == 1.0
    assert figures["accuracy.evades"]["value"] == pytest.approx(0.25)
    assert figures["accuracy_of_worse"] == proportion(1, 2)
    assert figures["p_a"]["value"] == pytest.approx((0.6 + 0.85 + 0.4 + 0.5) / 4)
    assert figures["contradictions"] == proportion(2, 4)  # the second pair, and the one without a preference
    assert figures["decidedness"]["value"] == pytest.approx((0.3 + 0.05 + 0.2 + 0.0) / 4)
    one_order = measure_comparisons(table, both_orders=False)
    # right in both orders, in one, in none, half in both
    assert one_order["accuracy"]["value"] == pytest.approx((1 + 0.5 + 0 + 0.5) / 4)


def test_a_table_without_questions_is_refused() -> None:
    with pytest.raises(ValueError, match="needs questions for the better answer, got 1 rows"):
        measure_comparisons(answers(("complies", WORSE, 0.5, 0.5)), both_orders=True)


@pytest.mark.parametrize("p", [1.0, 0.0, 0.99])
@pytest.mark.parametrize("both_orders", [True, False])
def test_who_always_says_one_letter_has_order_bias(p: float, both_orders: bool) -> None:
    figures = measure_comparisons(answers(*[("complies", BETTER, p, p)] * 40), both_orders)
    verdict = judge_comparisons(figures, BARS, both_orders)
    assert figures["accuracy"]["value"] == pytest.approx(0.5)
    assert not verdict.passed
    assert "chooses the better answer in 0.50 [" in verdict.faults[0]
    assert f"order bias: the mean probability of the letter A is {p:.2f}" in verdict.faults[1]
    assert "the letter is the same in both orders in 1.00" in verdict.faults[1]


def test_who_knows_passes() -> None:
    rows = [("complies", BETTER, 0.9, 0.1)] * 30 + [("complies", WORSE, 0.2, 0.8)] * 30
    verdict = judge_comparisons(measure_comparisons(answers(*rows), True), BARS, True)
    assert verdict.passed
    assert verdict.notes == ()


def test_luck_on_few_pairs_does_not_pass() -> None:
    rights = [("complies", BETTER, 0.9, 0.3)] * 6 + [("complies", BETTER, 0.1, 0.7)] * 2
    verdict = judge_comparisons(measure_comparisons(answers(*rights), True), BARS, True)
    assert len(verdict.faults) == 1
    assert "a coin, 0.5, is within the interval: raise check_labeller.pairs" in verdict.faults[0]
    many = judge_comparisons(measure_comparisons(answers(*rights * 8), True), BARS, True)
    assert many.passed


def test_bias_that_both_orders_take_out_is_a_note() -> None:
    figures = measure_comparisons(answers(*[("complies", BETTER, 0.99, 0.8)] * 40), True)
    noted = judge_comparisons(figures, BARS, both_orders=True)
    assert noted.passed
    assert "order bias" in noted.notes[0]
    single = measure_comparisons(answers(*[("complies", BETTER, 0.99, 0.8)] * 40), False)
    assert not judge_comparisons(single, BARS, both_orders=False).passed


def test_who_does_not_read_polarity_is_told() -> None:
    rows = [("complies", BETTER, 0.9, 0.1)] * 30 + [("complies", WORSE, 0.9, 0.1)] * 30
    verdict = judge_comparisons(measure_comparisons(answers(*rows), True), BARS, True)
    assert verdict.passed
    assert verdict.notes == (
        "it does not read the polarity of a question: asked for the worse answer it is right in 0.00 [0.00, 0.11] "
        "(n = 30)",
    )


def test_critiques_have_a_bar() -> None:
    figures = measure_critiques([True] * 9 + [False] * 11, [True] + [False] * 19)
    assert told(figures["naming"]) == "0.45 [0.26, 0.66] (n = 20)"
    verdict = judge_critiques(figures, BARS)
    assert "0.45 [0.26, 0.66] (n = 20) of its critiques name the act" in verdict.faults[0]
    assert "the bar is 0.5, and 0.05" in verdict.faults[0]
    assert judge_critiques(measure_critiques([True] * 10 + [False] * 10, [False] * 20), BARS).passed


def test_the_next_choice_is_the_best_that_passed_else_a_server() -> None:
    few = Setting("preference_labeling.labels.few_shots=4", proportion(80, 100), passed=True)
    other = Setting("lineage.roles.labeller=helpful_rlhf", proportion(90, 100), passed=True)
    worse = Setting("preference_labeling.labels.few_shots=0", proportion(60, 100), passed=False)
    assert next_choice("labeller", [few, other, worse]).startswith("set lineage.roles.labeller=helpful_rlhf, which")
    none = next_choice("labeller", [worse])
    assert "a server's entry of the catalog, named by lineage.roles.labeller" in none
    assert "few_shots=0 has 0.60 [0.50, 0.69] (n = 100)" in none
