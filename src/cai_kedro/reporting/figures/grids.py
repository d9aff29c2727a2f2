"""Grids of shares: a number in each cell, and its interval where somebody points at it."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from cai_kedro.reporting.figures.style import label
from cai_kedro.reporting.wording import percent

#: From none to all, and from wrong over a coin to right.
MORE = [[0, "rgba(59,125,221,0.02)"], [1, "rgba(59,125,221,0.7)"]]
RIGHT = [[0, "rgba(209,73,91,0.7)"], [0.5, "rgba(134,142,150,0.1)"], [1, "rgba(59,169,156,0.7)"]]


def share_grid(
    columns: Sequence[str],
    rows: Sequence[str],
    cells: Sequence[Sequence[Mapping[str, Any] | None]],
    colours: list[list[Any]] = MORE,
) -> go.Figure:
    """Draw shares in percent, row by row from the top; a cell is an estimate, or None where there is none."""
    figure = go.Figure(
        go.Heatmap(
            x=[label(column) for column in columns],
            y=[label(row) for row in rows],
            z=[[None if cell is None else 100 * cell["value"] for cell in row] for row in cells],
            text=[["" if cell is None else f"{100 * cell['value']:.0f}" for cell in row] for row in cells],
            customdata=[["" if cell is None else percent(cell) for cell in row] for row in cells],
            texttemplate="%{text}",
            hovertemplate="%{x}: %{y}<br>%{customdata}<extra></extra>",
            zmin=0,
            zmax=100,
            colorscale=colours,
            showscale=False,
            xgap=2,
            ygap=2,
        )
    )
    return figure.update_yaxes(autorange="reversed", showgrid=False).update_xaxes(side="top", showgrid=False)
