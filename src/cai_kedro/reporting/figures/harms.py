"""Harmlessness harm by harm, with the gaps of the constitution, and whether refusals say why (sections 1.1 and 4.4)."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from cai_kedro.reporting.figures.style import (
    PALETTE,
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
from cai_kedro.reporting.wording import Metrics, below, listed, observations, percent, told

HARMS = "Harmlessness by harm, and what the constitution leaves out"
HARMS_PAPER = "The paper has no such table."
TRANSPARENCY = "Whether refusals say why"
TRANSPARENCY_PAPER = (
    "RL-CAI engages with harmful requests and explains its objections, where HH RLHF evades (sections 1.1 and 4.4). "
    "The paper does not count right reasons."
)

#: How many of the harms that a policy is worst at are told.
WEAKEST = 3

PRINCIPLES = ("critique_principles", "preference_principles")
SHARES = {
    "objects": "objects",
    "reason_matches": "reason of the harm asked for",
    "act_matches": "act asked for",
    "both": "both",
    "principle_names_reason": "reason in a principle",
}

Cells = Mapping[str, Mapping[str, Any]]


def draw_harms(harm_gaps_metrics: Metrics) -> go.Figure:
    """Draw each policy's mean harmlessness (0 to 4) with 95 % intervals, one row a harm, the weakest first."""
    policies = _policies(harm_gaps_metrics, "harm_gaps", but=PRINCIPLES)
    rated = {policy: below(harm_gaps_metrics, f"harm_gaps.{policy}") for policy in policies}
    if not rated:
        return nothing(HARMS, HARMS_PAPER, "the judge of this run names no harm of any prompt, or rates none.")
    about = cast().headline if cast().headline in rated else policies[-1]
    harms = _weakest_first(rated[about])
    harms += [harm for harm in dict.fromkeys(harm for cells in rated.values() for harm in cells) if harm not in harms]
    named = {kind: below(harm_gaps_metrics, f"harm_gaps.{kind}") for kind in PRINCIPLES}
    gaps = [harm for harm in harms if not any(cells.get(harm, {"value": 0})["value"] for cells in named.values())]
    rows = {harm: label(f"{harm} (gap)" if harm in gaps else harm) for harm in harms}
    figure = go.Figure()
    for policy, cells in rated.items():
        shown = [harm for harm in harms if harm in cells]
        figure.add_scatter(
            x=[cells[harm]["value"] for harm in shown],
            y=[rows[harm] for harm in shown],
            error_x=bars([cells[harm] for harm in shown]),
            orientation="h",
            mode="markers",
            marker={"size": 8, "color": colour(policy), "symbol": marker(policy)},
            name=label(policy),
            customdata=[told(cells[harm], 2) for harm in shown],
            hovertemplate=f"{label(policy)}, %{{y}}<br>%{{customdata}}<extra></extra>",
        )
    figure.update_xaxes(title="mean harmlessness, 0 to 4")
    figure.update_yaxes(autorange="reversed", automargin=True, categoryorder="array", categoryarray=list(rows.values()))
    found = f"{_found_weakest(about, rated[about])} {_found_gaps(gaps)}"
    explained(figure, HARMS, HARMS_PAPER, found, height=130 + (20 + 10 * len(rated)) * len(harms))
    return figure.update_layout(scattermode="group", margin_t=60)


def draw_transparency(transparency_metrics: Metrics) -> go.Figure:
    """Draw how many answers to red-team prompts object, and how many objections give which reason; 95 % intervals."""
    policies = _policies(transparency_metrics, "transparency")
    shares = {policy: below(transparency_metrics, f"transparency.{policy}") for policy in policies}
    if not shares:
        return nothing(TRANSPARENCY, TRANSPARENCY_PAPER, "the judge of this run reads no reasons.")
    figure = go.Figure()
    for (share, name), shade in zip(SHARES.items(), PALETTE, strict=False):
        shown = [policy for policy in policies if share in shares[policy]]
        figure.add_bar(
            x=[label(policy) for policy in shown],
            y=[100 * shares[policy][share]["value"] for policy in shown],
            error_y=bars([shares[policy][share] for policy in shown], 100, REFERENCE),
            marker_color=shade,
            name=name,
            customdata=[percent(shares[policy][share]) for policy in shown],
            hovertemplate=f"%{{x}}, {name}<br>%{{customdata}}<extra></extra>",
        )
    figure.update_layout(barmode="group").update_xaxes(categoryorder="array", categoryarray=list(map(label, policies)))
    figure.update_yaxes(title="%", rangemode="tozero")
    explained(figure, TRANSPARENCY, TRANSPARENCY_PAPER, _found_reasons(shares))
    return figure.update_layout(margin_t=60)


def _policies(metrics: Metrics, kind: str, but: tuple[str, ...] = ()) -> list[str]:
    names = dict.fromkeys(name.split(".")[1] for name in metrics if name.startswith(f"{kind}."))
    return in_order([name for name in names if name not in but])


def _weakest_first(cells: Cells) -> list[str]:
    return sorted(cells, key=lambda harm: (cells[harm]["value"], harm))


def _found_weakest(policy: str, cells: Cells) -> str:
    figures = ", ".join(f"{harm} {told(cells[harm], 2)}" for harm in _weakest_first(cells)[:WEAKEST])
    return f"{policy} is least harmless about {figures}."


def _found_gaps(gaps: list[str]) -> str:
    return f"Gaps: no principle names {listed(gaps)}." if gaps else "Every harm is named by a principle."


def _found_reasons(shares: Mapping[str, Cells]) -> str:
    parts = []
    for policy, cells in shares.items():
        text = f"{policy} objects in {percent(cells['objects'], n=False)}"
        if "both" in cells:
            text += f", and {percent(cells['both'])} of its objections give the right reason and name the act"
        parts.append(text)
    counts = observations([cells["objects"] for cells in shares.values()])
    return f"{'; '.join(parts)} ({counts} answers to red-team prompts each)."
