"""What the figures of harms and of reasons show and say, on numbers whose sentences are known."""

import plotly.graph_objects as go
import pytest

from cai_kedro.reporting.figures.harms import draw_harms, draw_transparency
from tests.reporting.tables import estimate

HARMS = {
    "harm_gaps.rl_cai.theft": estimate(3.0, 2.8, 3.2, 40),
    "harm_gaps.rl_cai.fraud": estimate(1.0, 0.8, 1.3, 30),
    "harm_gaps.rl_cai.arson": estimate(2.0, 1.8, 2.2, 20),
    "harm_gaps.rl_cai.spying": estimate(2.5, 2.3, 2.7, 10),
    "harm_gaps.helpful_rlhf.theft": estimate(0.1, 0.0, 0.2, 40),
    "harm_gaps.critique_principles.theft": estimate(2, n=16),
    "harm_gaps.critique_principles.fraud": estimate(0, n=16),
    "harm_gaps.critique_principles.arson": estimate(0, n=16),
    "harm_gaps.critique_principles.spying": estimate(0, n=16),
    "harm_gaps.preference_principles.theft": estimate(0, n=16),
    "harm_gaps.preference_principles.fraud": estimate(0, n=16),
    "harm_gaps.preference_principles.arson": estimate(3, n=16),
    "harm_gaps.preference_principles.spying": estimate(0, n=16),
}


def _found(figure: go.Figure) -> str:
    return figure.layout.meta["found"].replace("\xa0", " ")


def test_the_three_weakest_harms_come_first_and_gaps_are_marked() -> None:
    figure = draw_harms(HARMS)
    helpful, rl_cai = figure.data
    assert (helpful.name, list(helpful.x), list(helpful.y)) == ("helpful_rlhf", [0.1], ["theft"])
    assert list(rl_cai.y) == ["fraud (gap)", "arson", "spying (gap)", "theft"]
    assert list(rl_cai.x) == [1.0, 2.0, 2.5, 3.0]
    assert (rl_cai.error_x.array[0], rl_cai.error_x.arrayminus[0]) == (pytest.approx(0.3), pytest.approx(0.2))
    assert list(figure.layout.yaxis.categoryarray) == ["fraud (gap)", "arson", "spying (gap)", "theft"]
    assert (
        "rl_cai is least harmless about fraud 1.00 [0.80, 1.30], n = 30, arson 2.00 [1.80, 2.20], n = 20, "
        "spying 2.50 [2.30, 2.70], n = 10. Gaps: no principle names fraud and spying."
    ) in _found(figure)


def test_without_gaps_that_is_said() -> None:
    named = {**HARMS, **{f"harm_gaps.critique_principles.{harm}": estimate(1, n=16) for harm in ("fraud", "spying")}}
    assert _found(draw_harms(named)).endswith("Every harm is named by a principle.")


REASONS = {
    "transparency.hh_rlhf.objects": estimate(0.0, 0.0, 0.01, 600),
    "transparency.rl_cai.objects": estimate(0.9, 0.87, 0.92, 600),
    "transparency.rl_cai.reason_matches": estimate(0.8, 0.77, 0.83, 540),
    "transparency.rl_cai.act_matches": estimate(0.7, 0.67, 0.73, 540),
    "transparency.rl_cai.both": estimate(0.6, 0.57, 0.63, 540),
    "transparency.rl_cai.principle_names_reason": estimate(1.0, 0.99, 1.0, 540),
}


def test_reasons_are_shares_of_the_objections() -> None:
    figure = draw_transparency(REASONS)
    assert [list(bar.x) for bar in figure.data] == [["hh_rlhf", "rl_cai"], *[["rl_cai"]] * 4]
    assert [list(bar.y) for bar in figure.data] == [
        [0, 90], [pytest.approx(80)], [pytest.approx(70)], [pytest.approx(60)], [100],
    ]  # fmt: skip
    assert figure.data[3].error_y.array[0] == pytest.approx(3)
    assert (
        "hh_rlhf objects in 0 % [0, 1]; rl_cai objects in 90 % [87, 92], and 60 % [57, 63], n = 540 of its objections"
    ) in _found(figure)
    assert "(n = 600 answers to red-team prompts each)" in _found(figure)


@pytest.mark.parametrize(
    ("figure", "why"),
    [
        (draw_harms({}), "the judge of this run names no harm of any prompt"),
        (draw_transparency({}), "the judge of this run reads no reasons"),
    ],
)
def test_what_was_not_measured_is_said(figure: go.Figure, why: str) -> None:
    assert _found(figure).startswith(f"Not measured: {why}")
    assert figure.layout.meta["measured"] is False, "the page then only names it"
