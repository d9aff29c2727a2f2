"""What all figures share: colours that can be told apart on light and dark pages, error bars, explanations."""

import functools
import html
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

#: Colour and marker of the policies of the paper; others take what is left, in their order.
PAPER_POLICIES = {
    "pretrained": ("#868e96", "circle"),
    "helpful_rlhf": ("#e07b39", "square"),
    "hh_rlhf": ("#b5952c", "triangle-up"),
    "sl_cai": ("#3ba99c", "diamond"),
    "rl_cai": ("#3b7ddd", "star"),
    "rl_cai_cot": ("#9a60d3", "hexagon"),
}
FURTHER = (
    ("#d1495b", "cross"),
    ("#5f8f3e", "x"),
    ("#00838f", "triangle-down"),
    ("#8d5a3b", "pentagon"),
    ("#c2185b", "hourglass"),
    ("#4b5fb5", "bowtie"),
)
PALETTE = ("#3b7ddd", "#e07b39", "#3ba99c", "#9a60d3", "#d1495b", "#b5952c", "#5f8f3e", "#868e96")
#: Lines of two arms, and of what is only there to compare.
FIRST, SECOND, REFERENCE = "#3b7ddd", "#e07b39", "#868e96"

HEIGHT = 420


@dataclass(frozen=True)
class Cast:
    """Who stands in the figures of a run, in order, of whom the sentences tell, and what a step of a snapshot is."""

    policies: tuple[str, ...]
    reference: str
    headline: str
    compared_with: str | None
    step_unit: str = "rollouts"


#: Where nothing says who there is: figures of several runs, and tests.
PAPER_CAST = Cast(tuple(PAPER_POLICIES), reference="helpful_rlhf", headline="rl_cai", compared_with="hh_rlhf")
_CAST: ContextVar[Cast] = ContextVar("cast", default=PAPER_CAST)


def drawn_with(cast: Cast, draw: Callable[..., go.Figure]) -> Callable[..., go.Figure]:
    """Return the node function that draws a figure for the policies of a run."""

    @functools.wraps(draw)
    def drawn(*inputs: Any, **named: Any) -> go.Figure:
        token = _CAST.set(cast)
        try:
            return draw(*inputs, **named)
        finally:
            _CAST.reset(token)

    return drawn


def cast() -> Cast:
    """Return who stands in the figure that is being drawn."""
    return _CAST.get()


def in_order(policies: Sequence[str]) -> list[str]:
    """Return policies in the order of the lineage, unknown ones last."""
    return sorted(policies, key=lambda name: [*cast().policies, name].index(name))


def colour(policy: str) -> str:
    """Return the colour of a policy."""
    return _look(policy)[0]


def marker(policy: str) -> str:
    """Return the marker of a policy."""
    return _look(policy)[1]


def _look(policy: str) -> tuple[str, str]:
    """Return colour and marker: the paper's policies keep theirs, those beside them take others by their place."""
    further = [name for name in cast().policies if name not in PAPER_POLICIES]
    place = further.index(policy) if policy in further else len(further)
    return PAPER_POLICIES.get(policy, FURTHER[place % len(FURTHER)])


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
    figure.update_xaxes(exponentformat="none").update_yaxes(exponentformat="none")  # 0.0006, not 600µ
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
