"""Whether AI labels mean what they say (figure 9 of the paper)."""

import pandas as pd
import plotly.graph_objects as go

from cai_kedro.reporting.figures.style import REFERENCE, bars, explained, label, nothing
from cai_kedro.reporting.wording import Metrics, number, percent, told

CALIBRATION = "F9 · Calibration of the AI labels"
CALIBRATION_PAPER = (
    "Labels from log-probabilities are fairly calibrated, close to the diagonal; after a chain of thought they are "
    "over-confident, which is why they are clamped (figure 9, section 4.1)."
)
NO_LABELS = "the judge decides none of the labelled pairs."

#: What is drawn: source and stage of a label, and how it looks.
LINES = {
    ("ai", "label"): ("direct labels", "#3b7ddd", "solid"),
    ("ai_cot", "unclamped"): ("after thoughts, before the clamp", "#9a60d3", "dash"),
    ("ai_cot", "label"): ("after thoughts, clamped", "#d1495b", "solid"),
}


def draw_calibration(label_reliability: pd.DataFrame, label_metrics: Metrics) -> go.Figure:
    """Draw how often a label's choice is right (y) against how sure it is (x), bin by bin, with 95 % intervals (F9).

    `label_reliability` has the columns `source, stage, mean_p, value, low, high, n`.
    """
    if label_reliability.empty:
        return nothing(CALIBRATION, CALIBRATION_PAPER, NO_LABELS)
    figure = go.Figure(
        go.Scatter(
            x=[50, 100],
            y=[50, 100],
            mode="lines",
            line={"color": REFERENCE, "dash": "dot", "width": 1},
            name="calibrated",
            hoverinfo="skip",
        )
    )
    for (source, stage), bins in label_reliability.groupby(["source", "stage"], sort=False):
        if (source, stage) not in LINES:
            continue
        name, shade, dash = LINES[source, stage]
        rows = bins.to_dict("records")
        figure.add_scatter(
            x=[100 * row["mean_p"] for row in rows],
            y=[100 * row["value"] for row in rows],
            error_y=bars(rows, 100),
            mode="lines+markers",
            line={"color": shade, "dash": dash},
            name=label(name),
            customdata=[percent(row) for row in rows],
            hovertemplate="sure to %{x:.0f} %<br>right in %{customdata}<extra></extra>",
        )
    figure.update_xaxes(title="how sure the label is of its choice, %").update_yaxes(title="choice is right, %")
    explained(figure, CALIBRATION, CALIBRATION_PAPER, _found(label_metrics), height=460)
    return figure.update_layout(margin_t=80)


def _found(metrics: Metrics) -> str:
    parts = [
        f"{what} {number(100 * metrics[name]['value'], 1)} points {told_interval}"
        for what, name in (
            ("direct labels", "label.ai.ece"),
            ("after thoughts before the clamp", "label.ai_cot.ece_unclamped"),
            ("after the clamp", "label.ai_cot.ece"),
        )
        if name in metrics
        for told_interval in [_interval(metrics, name)]
    ]
    return (
        f"Expected calibration error, less what is noise: {'; '.join(parts)}."
        if parts
        else "No calibration error was measured."
    )


def _interval(metrics: Metrics, name: str) -> str:
    # the value stands before it already
    return told(metrics[name], 1, 100).partition(" ")[2]
