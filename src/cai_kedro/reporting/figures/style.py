"""What all figures share: colours that can be told apart on light and dark pages, error bars, explanations."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

#: Colour and marker of the policies; others take what is left of the palette.
POLICY_COLOURS = {
    "pretrained": "#868e96",
    "helpful_rlhf": "#e07b39",
    "hh_rlhf": "#b5952c",
    "sl_cai": "#3ba99c",
    "rl_cai": "#3b7ddd",
    "rl_cai_cot": "#9a60d3",
}
POLICY_MARKERS = {
    "pretrained": "circle",
    "helpful_rlhf": "square",
    "hh_rlhf": "triangle-up",
    "sl_cai": "diamond",
    "rl_cai": "star",
    "rl_cai_cot": "hexagon",
}
PALETTE = ("#3b7ddd", "#e07b39", "#3ba99c", "#9a60d3", "#d1495b", "#b5952c", "#5f8f3e", "#868e96")
#: Lines of two arms, and of what is only there to compare.
FIRST, SECOND, REFERENCE = "#3b7ddd", "#e07b39", "#868e96"

HEIGHT = 420


def colour(policy: str, place: int = 0) -> str:
    """Return the colour of a policy, of an unknown one by its place."""
    return POLICY_COLOURS.get(policy, PALETTE[place % len(PALETTE)])


def marker(policy: str) -> str:
    """Return the marker of a policy."""
    return POLICY_MARKERS.get(policy, "circle")


def label(text: str) -> str:
    """Make a name from outside harmless: plotly reads some tags in its labels."""
    return html.escape(text, quote=False)


def bars(estimates: Sequence[Mapping[str, Any]], scale: float = 1.0, shade: str | None = None) -> dict[str, Any]:
    """Return 95 % intervals as plotly's error bars, in the colour of the trace if no other is given; none: length 0."""

    def half(estimate: Mapping[str, Any], end: str) -> float:
        return 0.0 if estimate[end] is None else scale * abs(estimate[end] - estimate["value"])

    return {
        "type": "data",
        "symmetric": False,
        "array": [half(estimate, "high") for estimate in estimates],
        "arrayminus": [half(estimate, "low") for estimate in estimates],
        "thickness": 1.5,
        "width": 4,
        **({"color": shade} if shade else {}),
    }


def explained(figure: go.Figure, title: str, paper: str, found: str, height: int = HEIGHT) -> go.Figure:
    """Add title, what the paper found and what this run found; they stand beside the figure, not inside."""
    figure.update_annotations(font_size=14)  # titles of panels
    return figure.update_layout(
        meta={"title": title, "paper": paper, "found": found},
        height=height,
        margin={"l": 60, "r": 20, "t": 30, "b": 50},
        template="plotly_white",
        # the page gives font and background the colours of its theme
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "xanchor": "left", "x": 0},
        hoverlabel={"namelength": -1},
    )


def nothing(title: str, paper: str, why: str) -> go.Figure:
    """Return the figure of something that was not measured; it says so."""
    figure = go.Figure()
    figure.add_annotation(text="not measured in this run", showarrow=False, font={"size": 16})
    figure.update_xaxes(visible=False).update_yaxes(visible=False)
    explained(figure, title, paper, f"Not measured: {why}", height=160)
    return figure.update_layout(meta={**figure.layout.meta, "measured": False})
