"""What the figures along RL show and say, on numbers whose sentences are known."""

import pandas as pd
import plotly.graph_objects as go
import pytest

from cai_kedro.reporting.figures.along import by_step, draw_harmfulness, draw_snapshot_ratings
from cai_kedro.reporting.figures.over_training import over_training_of
from tests.reporting.tables import estimate


def _found(figure: go.Figure) -> str:
    return figure.layout.meta["found"].replace("\xa0", " ")


def test_steps_come_in_their_order_and_arms_in_theirs() -> None:
    metrics = {
        "k.rl_cai.step_10": estimate(2),
        "k.rl_cai.step_5": estimate(1),
        "k.helpful_rlhf.step_5": estimate(0),
        "k.rl_cai.step_5.pm": estimate(3),
        "k.squared_error": estimate(4),
        "other.k.rl_cai.step_5": estimate(5),
    }
    assert [(arm, list(steps)) for arm, steps in by_step(metrics, "k").items()] == [
        ("helpful_rlhf", [5]),
        ("rl_cai", [5, 10]),
    ]
    assert by_step(metrics, "k", "pm") == {"rl_cai": {5: estimate(3)}}


def _elo(last: float) -> dict:
    return {
        "snapshot_elo.harmlessness.rl_cai.step_60": estimate(last, last - 40, last + 30, 80),
        "snapshot_elo.harmlessness.rl_cai.step_0": estimate(100, 80, 120, 80),
        "snapshot_elo.harmlessness.helpful_rlhf.step_60": estimate(7, 5, 9, 80),
        "snapshot_elo.helpfulness.rl_cai.step_0": estimate(-50, -90, -10, 40),
        "snapshot_elo.helpfulness.rl_cai.step_60": estimate(-40, -80, 0, 40),
        "snapshot_elo_change.harmlessness.rl_cai": estimate(last - 100, last - 150, last - 60, 80),
        "snapshot_elo_change.helpfulness.rl_cai": estimate(10, 2, 18, 40),
    }


@pytest.mark.parametrize(
    ("last", "says"),
    [(300, "rises: 200 [150, 240]"), (-300, "falls: −400 [−450, −360]"), (130, "no change shown: 30 [−20, 70]")],
)
def test_snapshots_are_said_to_rise_or_fall_by_the_paired_difference(last: float, says: str) -> None:
    figure = draw_snapshot_ratings(_elo(last))
    assert [(line.name, list(line.x), list(line.y), line.xaxis) for line in figure.data] == [
        ("helpful_rlhf", [60], [7], "x"),
        ("rl_cai", [0, 60], [100, last], "x"),
        ("rl_cai", [0, 60], [-50, -40], "x2"),
    ]
    assert [line.showlegend for line in figure.data] == [True, True, False]
    assert (figure.data[1].error_y.array[1], figure.data[1].error_y.arrayminus[1]) == (30, 40)
    assert f"from rollout 0 to 60 ({says})" in _found(figure)
    assert "helpful_rlhf 7 [5, 9] at 60, the only snapshot" in _found(figure)
    # the two intervals overlap, the difference at the same prompts leaves out 0
    assert "Helpfulness Elo: rl_cai −50 [−90, −10] → −40 [−80, 0] from rollout 0 to 60 (rises: 10 [2, 18])" in _found(
        figure
    )
    assert "At rollout 0 stands the policy that an arm starts from" in _found(figure)
    assert "(n = 80 prompts)" in _found(figure)


def test_a_criterion_that_was_not_rated_leaves_its_panel_empty() -> None:
    only = {name: figure for name, figure in _elo(300).items() if ".helpfulness." in name}
    figure = draw_snapshot_ratings(only)
    assert [(line.name, line.showlegend) for line in figure.data] == [("rl_cai", True)]
    assert "Harmlessness" not in _found(figure)


def _harmfulness(last: float, error: float) -> dict:
    return {
        "harmfulness.squared_error": estimate(error, error - 0.1, error + 0.1, 60),
        "harmfulness.squared_error_of_the_mean": estimate(1.2, 1.1, 1.3, 60),
        "harmfulness.squared_error_gain": estimate(1.2 - error, 1.1 - error, 1.3 - error, 60),
        "harmfulness.squared_error.rl_cai": estimate(0.87, 0.7, 1.1, 600),
        "harmfulness.bias.rl_cai": estimate(0.6, 0.5, 0.7, 600),
        "harmfulness_change.rl_cai": estimate(last - 2, last - 2.2, last - 1.8, 80),
        "harmfulness.rl_cai.step_20": estimate(2.0, 1.9, 2.1, 80),
        "harmfulness.rl_cai.step_40": estimate(last, last - 0.1, last + 0.2, 80),
    }


@pytest.mark.parametrize(("last", "says"), [(3.0, "rises"), (1.0, "falls"), (2.1, "no change shown")])
def test_harmfulness_is_drawn_along_rl(last: float, says: str) -> None:
    figure = draw_harmfulness(_harmfulness(last, 0.4))
    (line,) = figure.data
    assert (list(line.x), list(line.y)) == ([20, 40], [2.0, last])
    assert (line.error_y.array[1], line.error_y.arrayminus[1]) == (pytest.approx(0.2), pytest.approx(0.1))
    assert f"rl_cai 2.00 [1.90, 2.10] → {last:.2f}" in _found(figure)
    assert f"({says}: " in _found(figure)
    assert "(n = 80 prompts)" in _found(figure)


def test_harmfulness_says_how_far_to_trust_its_model() -> None:
    assert "squared error is 0.40 [0.30, 0.50], n = 60, better than saying" in _found(
        draw_harmfulness(_harmfulness(1, 0.4))
    )
    assert "not shown to be better than saying the mean rating always (1.20" in _found(
        draw_harmfulness(_harmfulness(1, 1.15))
    )
    assert "not shown to be better" in _found(draw_harmfulness(_harmfulness(1, 3.0)))
    untested = {name: figure for name, figure in _harmfulness(1, 1).items() if "squared" not in name}
    assert "was not tested: no prompts were held out. On the policies' own answers it was not tested" in _found(
        draw_harmfulness(untested)
    )


def test_harmfulness_says_how_far_its_model_is_off_on_each_policy_s_answers() -> None:
    assert (
        "On the policies' own answers: rl_cai 0.87 [0.70, 1.10], score less rating 0.60 [0.50, 0.70] "
        "(n = 600 answers each)." in _found(draw_harmfulness(_harmfulness(1, 0.4)))
    )


def _signals(last_score: float, last_truth: float) -> dict:
    values = {0: (-1.0, 1.0), 20: (0.5, 3.5), 40: (last_score, last_truth)}
    metrics = {"over_training.rl_cai.kept": estimate(20)}
    for step, (score, truth) in values.items():
        start = f"over_training.rl_cai.step_{step}"
        metrics[f"{start}.pm_score"] = estimate(score, score - 0.1, score + 0.2, 48)
        metrics[f"{start}.harmlessness"] = estimate(truth, truth - 0.2, truth + 0.2, 24)
        metrics[f"{start}.evasive"] = estimate(step / 100, 0, 1, 48)
    for name, change in (("pm_score", last_score - 0.5), ("harmlessness", last_truth - 3.5)):
        metrics[f"over_training_change.rl_cai.{name}"] = estimate(change, change - 0.2, change + 0.2, 24)
    return metrics


CHOICE = pd.DataFrame(
    {"step": [0, 20, 40], "kept": [False, True, False], "collapsed": False, "why": ["start", "kept", "it loops"]}
)


def test_over_training_has_a_panel_a_signal_and_marks_the_snapshot_kept() -> None:
    figure = over_training_of(("rl_cai",), "harmlessness")(_signals(0.9, 2.0), CHOICE)
    assert [list(line.y) for line in figure.data] == [[-1.0, 0.5, 0.9], [1.0, 3.5, 2.0], [0, 20, 40]]
    assert [title.text for title in figure.layout.annotations] == [
        "PM score", "true harmlessness, 0 to 4", "evasive by rules on the text, %",
    ]  # fmt: skip
    assert {tuple(line.marker.symbol) for line in figure.data} == {("circle", "star", "circle")}
    assert figure.data[0].error_y.array[0] == pytest.approx(0.2)
    assert figure.data[0].customdata[1].replace("\xa0", " ") == "0.50 [0.40, 0.70], n = 48 · kept"
    assert "rl_cai at rollouts 0, 20 (kept), 40: PM score −1.00 [−1.10, −0.80] → 0.50 [0.40, 0.70] → 0.90" in _found(
        figure
    )
    assert "true harmlessness 1.00 [0.80, 1.20] → 3.50 [3.30, 3.70] → 2.00 [1.80, 2.20]" in _found(figure)
    assert "n = 48 replies a snapshot, of which rated n = 24" in _found(figure)


def test_a_start_policy_that_is_kept_is_called_by_its_name() -> None:
    choice = CHOICE.assign(kept=[True, False, False])
    figure = over_training_of(("rl_cai",), "harmlessness")(_signals(0.9, 2.0), choice)
    assert {tuple(line.marker.symbol) for line in figure.data} == {("star", "circle", "circle")}
    assert "rl_cai at rollouts 0 (start policy, kept), 40: PM score" in _found(figure)
    assert "RL brought no clearly better policy in rl_cai: the start policy is kept." in _found(figure)
    assert "the start policy is kept" not in _found(
        over_training_of(("rl_cai",), "harmlessness")(_signals(0.9, 2.0), CHOICE)
    )


def test_an_arm_without_rl_is_told_from_one_whose_rl_was_in_vain() -> None:
    metrics = _signals(0.9, 2.0)
    start = {name.replace("rl_cai", "hh_rlhf"): each for name, each in metrics.items() if ".rl_cai.step_0." in name}
    draw = over_training_of(("rl_cai", "hh_rlhf"), "harmlessness")
    found = _found(draw({**metrics, **start}, CHOICE.assign(kept=[True, False, False]), CHOICE[:1].assign(kept=True)))
    assert "hh_rlhf at rollouts 0 (start policy, kept): PM score −1.00 [−1.10, −0.80], true harmlessness" in found
    assert "No RL in hh_rlhf, as the preference model did not pass the gate: the start policy is kept. " in found
    assert "RL brought no clearly better policy in rl_cai: the start policy is kept. " in found


def test_along_rl_an_arm_without_rl_has_its_start_policy_alone() -> None:
    metrics = {name: each for name, each in _elo(300).items() if not name.endswith("helpful_rlhf.step_60")}
    metrics["snapshot_elo.harmlessness.helpful_rlhf.step_0"] = estimate(7, 5, 9, 80)
    assert "helpful_rlhf 7 [5, 9], its start policy, without RL; rl_cai 100" in _found(draw_snapshot_ratings(metrics))
    figure = draw_harmfulness({"harmfulness.squared_error": estimate(1)})
    assert _found(figure) == "Not measured: no policy was trained by RL."


@pytest.mark.parametrize(
    ("last_score", "last_truth", "over"), [(0.9, 2.0, True), (0.9, 3.4, False), (0.9, 4.0, False), (0.2, 2.0, False)]
)
def test_over_training_is_a_rising_score_and_a_falling_truth(last_score: float, last_truth: float, over: bool) -> None:
    found = _found(over_training_of(("rl_cai",), "harmlessness")(_signals(last_score, last_truth), CHOICE))
    assert ("at the same prompts, in rl_cai (score 0.40 [0.20, 0.60], n = 24; harmlessness −1.50" in found) == over
    assert ("in no arm does the score rise while harmlessness falls" in found) != over


def test_a_collapse_is_told_with_and_without_scores() -> None:
    collapsed = CHOICE.assign(collapsed=[False, False, True])
    told = "rl_cai has collapsed in 1 of 2 snapshots, they are not kept: step 40 (it loops)."
    draw = over_training_of(("rl_cai",), "harmlessness")
    assert _found(draw(_signals(0.9, 2.0), collapsed)).endswith(told)
    assert "collapsed" not in _found(draw(_signals(0.9, 2.0), CHOICE))
    assert _found(draw({}, collapsed)) == f"Not measured: no snapshot's replies were scored. {told}"


def test_without_a_judge_the_score_is_worth_what_nobody_knows() -> None:
    metrics = {name: figure for name, figure in _signals(0.9, 2.0).items() if "harmlessness" not in name}
    figure = over_training_of(("rl_cai",), "harmlessness")(metrics, CHOICE)
    assert len(figure.data) == 2
    assert "harmlessness" not in _found(figure)
    assert "No judge rated these replies" in _found(figure)


NO_CHOICE = pd.DataFrame(columns=["step", "kept", "collapsed", "why"])


@pytest.mark.parametrize(
    ("figure", "why"),
    [
        (draw_snapshot_ratings({}), "no snapshot played head-to-heads"),
        (draw_harmfulness({}), "nobody rated conversations"),
        (over_training_of(("rl_cai",), "harmlessness")({}, NO_CHOICE), "no snapshot's replies were scored"),
    ],
)
def test_what_was_not_measured_is_said(figure: go.Figure, why: str) -> None:
    assert _found(figure).startswith(f"Not measured: {why}")
    assert figure.layout.meta["measured"] is False, "the page then only names it"
