"""What figures show and say, on numbers whose sentences are known."""

import pandas as pd
import plotly.graph_objects as go
import pytest

from cai_kedro.reporting.figures.accuracy import draw_choices, draw_contrasts
from cai_kedro.reporting.figures.behaviour import draw_behaviours, draw_evasion
from cai_kedro.reporting.figures.curves import preference_curves_of, rl_curves_of
from cai_kedro.reporting.figures.labels import draw_calibration
from cai_kedro.reporting.figures.ratings import draw_frontier, draw_ratings, pareto_front
from cai_kedro.reporting.figures.revisions import draw_critiques, draw_rounds
from cai_kedro.reporting.figures.style import label
from tests.reporting.tables import estimate

ELO = {
    "elo.harmlessness.helpful_rlhf": estimate(0.0),
    "elo.harmlessness.hh_rlhf": estimate(344, 327, 361, 600),
    "elo.harmlessness.rl_cai": estimate(570, 546, 593, 600),
    "elo.harmlessness.act.rl_cai": estimate(1, 0, 2, 9),
    "elo.helpfulness.helpful_rlhf": estimate(0.0),
    "elo.helpfulness.hh_rlhf": estimate(-36, -54, -20, 250),
    "elo.helpfulness.rl_cai": estimate(-16, -38, 7, 250),
}


def _found(figure: go.Figure) -> str:
    return figure.layout.meta["found"].replace("\xa0", " ")


def test_the_front_holds_whom_nobody_beats() -> None:
    assert pareto_front({"a": (0, 9), "b": (5, 5), "c": (4, 4), "d": (9, 0), "e": (5, 5)}) == ["a", "b", "e", "d"]


def test_the_frontier_has_a_point_with_error_bars_for_each_policy() -> None:
    figure = draw_frontier(ELO)
    line, *points = figure.data
    assert (line.name, list(line.y)) == ("frontier", [570, 0])
    assert [point.name for point in points] == ["helpful_rlhf", "hh_rlhf", "rl_cai"]
    rl_cai = points[2]
    assert (rl_cai.x[0], rl_cai.y[0]) == (-16, 570)
    assert (rl_cai.error_y.array[0], rl_cai.error_y.arrayminus[0]) == (23, 24)
    assert (rl_cai.error_x.array[0], rl_cai.error_x.arrayminus[0]) == (23, 22)
    assert points[0].error_y.array[0] == 0
    assert _found(figure).startswith("rl_cai and helpful_rlhf stand on the frontier")
    assert "rl_cai 570 [546, 593] and −16 [−38, 7]; hh_rlhf 344 [327, 361] and −36 [−54, −20]" in _found(figure)


def test_ratings_are_told_in_order() -> None:
    figure = draw_ratings(ELO, {"elo_gap.harmlessness.rl_cai_over_hh_rlhf": estimate(226, 210, 240, 600)})
    assert [(bar.name, list(bar.x)) for bar in figure.data] == [
        ("harmlessness", ["helpful_rlhf", "hh_rlhf", "rl_cai"]),
        ("helpfulness", ["helpful_rlhf", "hh_rlhf", "rl_cai"]),
    ]
    assert "Harmlessness, highest first: rl_cai 570 [546, 593], hh_rlhf 344 [327, 361], helpful_rlhf 0" in _found(
        figure
    )
    assert "told apart" not in _found(figure)
    close = {"elo_gap.harmlessness.rl_cai_over_hh_rlhf": estimate(10, -5, 25, 600)}
    assert "The first two are not told apart at the same prompts (10 [−5, 25])." in _found(draw_ratings(ELO, close))


def test_an_order_other_than_the_paper_s_is_told() -> None:
    assert "Other than in the paper" not in _found(draw_ratings(ELO, {}))
    other = {
        **ELO,
        "elo.harmlessness.sl_cai": estimate(355, 333, 382, 600),
        "elo.helpfulness.rl_cai": estimate(5, -5, 15, 250),
    }
    gaps = {"elo_gap.harmlessness.sl_cai_over_hh_rlhf": estimate(10, -13, 34, 600)}
    assert "Other than in the paper: sl_cai above hh_rlhf by 10 [−13, 34], not told apart." in _found(
        draw_ratings(other, gaps)
    )
    assert "Other than in the paper: rl_cai above helpful_rlhf." in _found(draw_ratings(other, gaps))


def _revision_metrics(gain_low: float, difference: dict) -> dict:
    return {
        "pm_score.revision_0": estimate(-2.76, -2.9, -2.6, 400),
        "pm_score.revision_1": estimate(0.2, 0.1, 0.3, 400),
        "pm_score.revision_gain_1": estimate(2.96, gain_low, 3.1, 400),
        "pm_score.direct_revision_0": estimate(-2.76, -2.9, -2.6, 400),
        "pm_score.direct_revision_1": estimate(0.1, 0.0, 0.2, 400),
        "revisions.critique.harmless.step_0": estimate(0.02, 0.01, 0.04, 400),
        "revisions.critique.harmless.step_1": estimate(0.87, 0.83, 0.9, 400),
        "revisions.direct.harmless.step_0": estimate(0.02, 0.01, 0.04, 400),
        "revisions.direct.harmless.step_1": estimate(0.8, 0.75, 0.85, 400),
        "revisions.critique_over_direct.harmless.step_1": difference,
    }


def test_rounds_show_both_arms_and_tell_the_gain() -> None:
    figure = draw_rounds(_revision_metrics(2.8, estimate(0.07, 0.02, 0.12, 400)))
    assert [(line.name, list(line.y)) for line in figure.data] == [
        ("with critiques", [-2.76, 0.2]),
        ("direct", [-2.76, 0.1]),
        ("with critiques", [2, 87]),
        ("direct", [2, 80]),
    ]
    assert "from −2.76 [−2.90, −2.60] to 0.20 [0.10, 0.30], n = 400" in _found(figure)
    assert "from 2 % [1, 4] to 87 % [83, 90], n = 400" in _found(figure)
    assert "rises in every round" in _found(figure)
    flat = draw_rounds(_revision_metrics(-0.1, estimate(0.07, 0.02, 0.12, 400)))
    assert "No gain that its interval would show in round 1." in _found(flat)


@pytest.mark.parametrize(
    ("difference", "told"),
    [
        (estimate(0.07, 0.02, 0.12, 400), "critiques are ahead in round 1"),
        (estimate(-0.07, -0.12, -0.02, 400), "direct revisions are ahead in round 1"),
        (estimate(0.01, -0.02, 0.04, 400), "no difference is shown"),
    ],
)
def test_critiques_are_said_to_help_only_if_the_interval_says_so(difference: dict, told: str) -> None:
    figure = draw_critiques(_revision_metrics(2.8, difference))
    assert told in _found(figure)
    assert figure.data[0].y[0] == pytest.approx(100 * difference["value"])


def test_calibration_draws_labels_before_and_after_the_clamp() -> None:
    rows = [
        {"source": source, "stage": stage, "mean_p": 0.6, "value": 0.5, "low": 0.4, "high": 0.6, "n": 40}
        for source in ("ai", "ai_cot")
        for stage in ("label", "unclamped")
    ]
    metrics = {
        "label.ai.ece": estimate(0.09, 0.07, 0.11, 900),
        "label.ai_cot.ece": estimate(0.25, 0.22, 0.28, 900),
        "label.ai_cot.ece_unclamped": estimate(0.08, 0.06, 0.1, 900),
    }
    figure = draw_calibration(pd.DataFrame(rows), metrics)
    assert {line.name for line in figure.data} == {
        "calibrated", "direct labels", "after thoughts, clamped", "after thoughts, before the clamp",
    }  # fmt: skip
    assert (figure.data[1].x[0], figure.data[1].y[0]) == (60, 50)
    assert figure.data[1].error_y.array[0] == pytest.approx(10)
    assert "direct labels 9.0 points [7.0, 11.0], n = 900" in _found(figure)
    assert "before the clamp 8.0 points [6.0, 10.0], n = 900; after the clamp 25.0 points" in _found(figure)


BEHAVIOUR = {
    "behaviour.hh_rlhf.all.evasive": estimate(0.94, 0.92, 0.96, 600),
    "behaviour.hh_rlhf.all.boilerplate": estimate(0.2, 0.18, 0.22, 600),
    "behaviour.hh_rlhf.act.evasive": estimate(0.5, 0.4, 0.6, 60),
    "behaviour.rl_cai.all.evasive": estimate(0.0, 0.0, 0.01, 600),
    "behaviour.rl_cai.all.boilerplate": estimate(0.0, 0.0, 0.01, 600),
}


def test_evasion_counts_all_splits() -> None:
    figure = draw_evasion(BEHAVIOUR)
    assert [(bar.name, list(bar.y)) for bar in figure.data] == [("evasive", [94, 0]), ("boilerplate", [20, 0])]
    assert "hh_rlhf 94 % [92, 96], rl_cai 0 % [0, 1] (n = 600 answers each)" in _found(figure)


def test_nothing_is_said_of_boilerplate_where_the_judge_names_none() -> None:
    named = {name: value for name, value in BEHAVIOUR.items() if not name.endswith(".boilerplate")}
    figure = draw_evasion(named)
    assert [bar.name for bar in figure.data] == ["evasive"]
    assert "boilerplate" not in _found(figure) + figure.layout.meta["title"]


def test_over_refusal_stands_beside_evasion_where_there_are_look_alikes() -> None:
    assert "look harmful" not in _found(draw_evasion(BEHAVIOUR))
    figure = draw_evasion({**BEHAVIOUR, "behaviour.rl_cai.all.over_refusal": estimate(0.1, 0.05, 0.17, 120)})
    assert [(bar.name, list(bar.x), list(bar.y)) for bar in figure.data][-1] == (
        "over-refusal of look-alikes", ["rl_cai"], [10],
    )  # fmt: skip
    assert "only look harmful are refused, preached at or ducked: rl_cai 10 % [5, 17] (n = 120 each)" in _found(figure)


def test_behaviours_are_a_grid_of_shares_and_policies() -> None:
    (grid,) = draw_behaviours(BEHAVIOUR).data
    assert (list(grid.x), list(grid.y)) == (["hh_rlhf", "rl_cai"], ["evasive", "boilerplate"])
    assert [list(row) for row in grid.z] == [[94, 0], [20, 0]]


PM = {
    "pm_accuracy.rl_cai.harmlessness": estimate(0.91, 0.88, 0.93, 750),
    "pm_accuracy.rl_cai.objection_over_comply": estimate(1.0, 0.97, 1.0, 150),
    "pm_accuracy.rl_cai.right_over_wrong": estimate(0.53, 0.45, 0.61, 150),
    "pm_accuracy.hh_rlhf.right_over_wrong": estimate(0.6, 0.5, 0.7, 150),
}


def test_choices_show_labels_models_and_held_out_pairs() -> None:
    labels = {"label.ai.accuracy": estimate(0.88, 0.86, 0.9, 900)}
    held_out = {"pm_held_out_accuracy.rl_cai.all": estimate(0.8, 0.75, 0.85, 300)}
    figure = draw_choices(labels, PM, held_out)
    assert list(figure.data[0].y) == ["AI label, both orders", "PM rl_cai, harmlessness", "PM rl_cai, held out"]
    assert list(figure.data[0].x) == [88, 91, 80]
    assert "AI label, both orders 88 % [86, 90], n = 900; PM rl_cai, harmlessness 91 % [88, 93]" in _found(figure)


def test_the_pairs_that_an_accuracy_leaves_out_and_the_order_effect_are_said() -> None:
    labels = {
        "label.ai.accuracy": estimate(0.98, 0.97, 0.99, 1515),
        "label.ai.decided": estimate(0.694, 0.67, 0.72, 2183),
        "label.ai.order_effect": estimate(0.1214, 0.115, 0.128, 2183),
        "label.ai.order_flips": estimate(0.284, 0.265, 0.303, 2183),
    }
    assert _found(draw_choices(labels, {})) == (
        "AI label, both orders 98 % [97, 99], n = 1,515. AI labels: the accuracy leaves out the pairs whose two "
        "answers the judge rates alike, 31 % [28, 33], n = 2,183; over all pairs the other order moves the label by "
        "0.12 [0.12, 0.13] on average and turns the choice round in 28 % [26, 30], n = 2,183."
    )


def test_without_a_judge_the_order_effect_of_each_kind_of_label_is_named() -> None:
    effects = {"order_effect": estimate(0.69, 0.61, 0.75, 32), "order_flips": estimate(1.0, 0.89, 1.0, 32)}
    labels = {f"label.{source}.{name}": each for source in ("ai", "ai_cot") for name, each in effects.items()}
    held_out = {"pm_held_out_accuracy.rl_cai.all": estimate(0.25, 0.05, 0.7, 4)}
    found = _found(draw_choices(labels, held_out))
    assert found.startswith("Whether the labels are right is not known")
    assert "AI labels: over all pairs the other order" in found
    assert "AI labels after thoughts: over all pairs the other order" in found


def test_the_weakest_contrast_comes_first() -> None:
    figure = draw_contrasts(PM)
    assert "The weakest contrasts of rl_cai: right > wrong 53 % [45, 61], n = 150; objection > comply" in _found(figure)
    assert list(figure.data[0].x) == ["hh_rlhf", "rl_cai"]


def test_curves_have_a_line_an_arm_and_panel() -> None:
    curves = pd.DataFrame({"step": [2, 1, 1], "metric": ["pm_score", "pm_score", "kl"], "value": [0.5, -1.0, 0.0]})
    figure = rl_curves_of(("rl_cai", "hh_rlhf"))(curves, curves)
    assert len(figure.data) == 4
    assert list(figure.data[0].y) == [-1.0, 0.5], "by step"
    assert "rl_cai −1.00 → 0.50 (n = 2 rollouts)" in _found(figure)
    assert figure.layout.xaxis.dtick == 1, "no rollout 1.5"
    assert figure.layout.yaxis.exponentformat == "none"
    assert "no interval" in _found(figure)


NO_CURVES = pd.DataFrame(columns=["step", "metric", "value"])


@pytest.mark.parametrize(
    "figure",
    [
        draw_frontier({}),
        draw_ratings({}, {}),
        draw_rounds({}),
        draw_critiques({}),
        draw_calibration(pd.DataFrame(), {}),
        draw_evasion({}),
        draw_behaviours({}),
        draw_choices({}, {}),
        draw_contrasts({}),
        rl_curves_of(("rl_cai",))(NO_CURVES),
        preference_curves_of(("rl_cai",))(NO_CURVES),
    ],
    ids=lambda figure: figure.layout.meta["title"],
)
def test_what_was_not_measured_is_said(figure: go.Figure) -> None:
    assert figure.layout.meta["found"].startswith("Not measured: ")
    assert figure.layout.meta["measured"] is False, "the page then only names it"


def test_names_from_outside_are_no_markup_in_labels() -> None:
    assert label("<a href='x'>&") == "&lt;a href='x'&gt;&amp;"
