"""Multiple choice on files of the user's: TruthfulQA MC1 and comparisons in both orders (SELF-ALIGN)."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from cai_kedro.reporting.figures.style import PALETTE, bars, explained, in_order, label, nothing
from cai_kedro.reporting.wording import Metrics, observations, percent, points

TITLE = "TruthfulQA and HHH: the right one of the candidates"
PAPER = (
    "SELF-ALIGN reports 69 % on TruthfulQA MC1 for its engraved model, and less for the verbose one: the verbose tax. "
    "Its script dropped half of the incorrect candidates; here all of them are there."
)
NAMES = {"truthfulqa_mc1": "TruthfulQA MC1", "hhh": "HHH, both orders"}
TAX = "verbose_tax"


def draw_benchmarks(benchmark_metrics: Metrics) -> go.Figure:
    """Draw the share of right choices of each policy, a colour a task, with 95 % intervals."""
    tasks: dict[str, dict[str, Mapping[str, Any]]] = {}
    for name, estimate in benchmark_metrics.items():
        _, task, policy = name.split(".", 2)
        tasks.setdefault(task, {})[policy] = estimate
    if not tasks:
        return nothing(TITLE, PAPER, "lm-eval wrote of no policy; docs/guides/judging.md says how to run it.")
    figure, found = go.Figure(), []
    for shade, (task, shares) in zip(PALETTE, tasks.items(), strict=False):
        tax = shares.pop(TAX, None)
        policies = in_order(list(shares))
        figure.add_bar(
            x=[label(policy) for policy in policies],
            y=[100 * shares[policy]["value"] for policy in policies],
            error_y=bars([shares[policy] for policy in policies], 100),
            marker_color=shade,
            name=label(NAMES.get(task, task)),
            customdata=[percent(shares[policy]) for policy in policies],
            hovertemplate="%{x}<br>%{customdata}<extra></extra>",
        )
        told = ", ".join(f"{policy} {percent(shares[policy], n=False)}" for policy in policies)
        found.append(f"{NAMES.get(task, task)}: {told} ({observations(list(shares.values()))} choices each).")
        found += [] if tax is None else [f"Verbose less engraved, choice by choice: {points(tax)}."]
    figure.update_layout(barmode="group").update_yaxes(title="right choices, %", rangemode="tozero")
    return explained(figure, TITLE, PAPER, " ".join(found))
