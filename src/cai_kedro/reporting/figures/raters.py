"""How far the people behind the human comparisons agree with one another."""

import plotly.graph_objects as go

from cai_kedro.reporting.figures.style import FIRST, REFERENCE, SECOND, bars, explained, label, nothing
from cai_kedro.reporting.wording import Metrics, axes_in, number, percent, told

AGREEMENT = "How far raters agree"
AGREEMENT_PAPER = "The paper has no such figure."
NOBODY = "the votes of several people on a pair are not known."

_SHOWN = {"alike": ("two raters prefer the same answer", FIRST), "alpha": ("Krippendorff's alpha", SECOND)}


def draw_rater_agreement(rater_agreement_metrics: Metrics) -> go.Figure:
    """Draw for each objective how often two raters agree, and how far beyond chance, with 95 % intervals."""
    objectives = axes_in(rater_agreement_metrics, "rater_agreement")
    if not objectives:
        return nothing(AGREEMENT, AGREEMENT_PAPER, NOBODY)
    figure = go.Figure()
    for what, (name, shade) in _SHOWN.items():
        of = {each: rater_agreement_metrics.get(f"rater_agreement.{each}.{what}") for each in objectives}
        there = {objective: found for objective, found in of.items() if found is not None}
        if not there:
            continue
        figure.add_bar(
            x=[label(objective) for objective in there],
            y=[found["value"] for found in there.values()],
            error_y=bars(list(there.values()), 1, REFERENCE),
            marker_color=shade,
            name=name,
            customdata=[told(found, 2) for found in there.values()],
            hovertemplate="%{x}<br>%{customdata}<extra></extra>",
        )
    figure.update_layout(barmode="group").update_yaxes(title="agreement", rangemode="tozero")
    return explained(figure, AGREEMENT, AGREEMENT_PAPER, _found(rater_agreement_metrics, objectives), height=300)


def _found(metrics: Metrics, objectives: list[str]) -> str:
    sentences = []
    for objective in objectives:
        alike, alpha, raters = (metrics.get(f"rater_agreement.{objective}.{what}") for what in (*_SHOWN, "raters"))
        if alike and raters:
            beyond = f", alpha {told(alpha, 2, n=False)}" if alpha else ""
            sentences.append(f"{objective}: {percent(alike)} pairs, {number(raters['value'], 1)} raters each{beyond}")
    return f"Two raters of a pair prefer the same answer: {'; '.join(sentences)}. Alpha is 0 by chance and 1 at most."
