"""Elo ratings: the frontier (figure 2 of the paper) and every policy by itself (figure 3)."""

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from cai_kedro.reporting.figures.style import (
    REFERENCE,
    bars,
    cast,
    colour,
    explained,
    in_order,
    label,
    marker,
    nothing,
)
from cai_kedro.reporting.wording import Metrics, axes_in, below, differs, listed, observations, told

FRONTIER = "F2 · Harmlessness against helpfulness"
FRONTIER_PAPER = (
    "RL-CAI is more harmless than the RLHF models at the same helpfulness: it stands on the Pareto frontier (figure 2)."
)
RATINGS = "F3 · Elo of every policy"
RATINGS_PAPER = (
    "Harmlessness: RL-CAI with chain of thought and RL-CAI lead, then HH RLHF, SL-CAI, Helpful RLHF. Helpfulness: "
    "Helpful RLHF leads, SL-CAI stands below both RL models (figure 3)."
)
#: Neighbours in the paper's order (figure 3), the higher one first.
PAPER_ORDER = {
    "harmlessness": (("rl_cai", "hh_rlhf"), ("hh_rlhf", "sl_cai"), ("sl_cai", "helpful_rlhf")),
    "helpfulness": (("helpful_rlhf", "rl_cai"), ("rl_cai", "sl_cai"), ("rl_cai_cot", "sl_cai")),
}
AXIS_COLOURS = ("#3b7ddd", "#3ba99c", "#e07b39", "#9a60d3", "#d1495b")
NO_RATINGS = "there are no head-to-heads of both kinds."


def draw_frontier(elo_metrics: Metrics) -> go.Figure:
    """Draw each policy at its helpfulness (x) and harmlessness (y) Elo with 95 % intervals (F2)."""
    harmless, helpful = below(elo_metrics, "elo.harmlessness"), below(elo_metrics, "elo.helpfulness")
    policies = in_order([policy for policy in harmless if policy in helpful])
    further = [axis for axis in axes_in(elo_metrics, "elo") if axis not in ("harmlessness", "helpfulness")]
    if not policies:
        return nothing(FRONTIER, FRONTIER_PAPER, f"{NO_RATINGS}{_elsewhere(further)}")
    front = pareto_front({policy: (helpful[policy]["value"], harmless[policy]["value"]) for policy in policies})
    figure = go.Figure(
        go.Scatter(
            x=[helpful[policy]["value"] for policy in front],
            y=[harmless[policy]["value"] for policy in front],
            mode="lines",
            line={"color": REFERENCE, "width": 1, "dash": "dot"},
            name="frontier",
            hoverinfo="skip",
        )
    )
    for policy in policies:
        figure.add_scatter(
            x=[helpful[policy]["value"]],
            y=[harmless[policy]["value"]],
            error_x=bars([helpful[policy]]),
            error_y=bars([harmless[policy]]),
            mode="markers",
            marker={"size": 12, "color": colour(policy), "symbol": marker(policy)},
            name=label(policy),
            hovertemplate=f"<b>{label(policy)}</b><br>harmlessness {told(harmless[policy])}"
            f"<br>helpfulness {told(helpful[policy])}<extra></extra>",
        )
    figure.update_xaxes(title="helpfulness Elo").update_yaxes(title="harmlessness Elo")
    found = _found_on_front(front, policies, harmless, helpful) + _elsewhere(further)
    return explained(figure, FRONTIER, FRONTIER_PAPER, found, height=460)


def draw_ratings(elo_metrics: Metrics, elo_gap_metrics: Metrics) -> go.Figure:
    """Draw the Elo ratings of each policy with 95 % intervals (F3); the gaps are those of neighbours in a ranking."""
    ratings = {axis: below(elo_metrics, f"elo.{axis}") for axis in axes_in(elo_metrics, "elo")}
    policies = in_order(list(dict.fromkeys(policy for rated in ratings.values() for policy in rated)))
    if not policies:
        return nothing(RATINGS, RATINGS_PAPER, NO_RATINGS)
    figure = go.Figure()
    for place, (criterion, rated) in enumerate(ratings.items()):
        shade = AXIS_COLOURS[place % len(AXIS_COLOURS)]
        shown = [policy for policy in policies if policy in rated]
        figure.add_bar(
            x=[label(policy) for policy in shown],
            y=[rated[policy]["value"] for policy in shown],
            error_y=bars([rated[policy] for policy in shown], shade=REFERENCE),
            marker_color=shade,
            name=criterion,
            customdata=[told(rated[policy]) for policy in shown],
            hovertemplate="%{x}<br>" + criterion + " %{customdata}<extra></extra>",
        )
    figure.update_layout(barmode="group").update_yaxes(title="Elo")
    found = " ".join(
        _found_in_order(criterion, rated, below(elo_gap_metrics, f"elo_gap.{criterion}"))
        for criterion, rated in ratings.items()
        if rated
    )
    return explained(figure, RATINGS, RATINGS_PAPER, found)


def _elsewhere(further: list[str]) -> str:
    """Say that the frontier is that of the paper's two axes, where a run has others."""
    return f" This figure has the paper's two axes alone; {listed(further)} stands in F3." if further else ""


def pareto_front(points: dict[str, tuple[float, float]]) -> list[str]:
    """Return the names that no other beats in one coordinate without losing in the other, by their first one."""

    def beaten(name: str) -> bool:
        x, y = points[name]
        return any(a >= x and b >= y and (a, b) != (x, y) for a, b in points.values())

    return sorted((name for name in points if not beaten(name)), key=lambda name: points[name])


def _found_on_front(
    front: list[str],
    policies: list[str],
    harmless: Mapping[str, Mapping[str, Any]],
    helpful: Mapping[str, Mapping[str, Any]],
) -> str:
    stands = "stand" if len(front) > 1 else "stands"
    figures = "; ".join(
        f"{policy} {told(harmless[policy], n=False)} and {told(helpful[policy], n=False)}"
        for policy in (cast().headline, cast().compared_with)
        if policy in policies
    )
    text = f"{listed(front)} {stands} on the frontier, by point estimates."
    counts = (
        f"harmlessness {observations(list(harmless.values()))} prompts, helpfulness "
        f"{observations(list(helpful.values()))}"
    )
    return f"{text} Harmlessness and helpfulness Elo with 95 % intervals: {figures} ({counts})." if figures else text


def _found_in_order(criterion: str, rated: Mapping[str, Mapping[str, Any]], gaps: Metrics) -> str:
    ranked = sorted(rated, key=lambda policy: -rated[policy]["value"])
    figures = ", ".join(f"{policy} {told(rated[policy], n=False)}" for policy in ranked)
    text = f"{criterion.capitalize()}, highest first: {figures} ({observations(list(rated.values()))} prompts)."
    lead = gaps.get(f"{ranked[0]}_over_{ranked[1]}") if len(ranked) > 1 else None
    if lead and not differs(lead):
        text += f" The first two are not told apart at the same prompts ({told(lead, n=False)})."
    return text + _against_the_paper(PAPER_ORDER.get(criterion, ()), rated, gaps)


def _against_the_paper(order: Sequence[tuple[str, str]], rated: Metrics, gaps: Metrics) -> str:
    """Say which policies stand the other way round than in the paper; `order` holds pairs, the higher one first."""
    parts = []
    for higher, lower in order:
        if {higher, lower} <= set(rated) and rated[lower]["value"] > rated[higher]["value"]:
            gap = gaps.get(f"{lower}_over_{higher}")
            shown = "" if gap is None else f" by {told(gap, n=False)}" + ("" if differs(gap) else ", not told apart")
            parts.append(f"{lower} above {higher}{shown}")
    return f" Other than in the paper: {'; '.join(parts)}." if parts else ""
