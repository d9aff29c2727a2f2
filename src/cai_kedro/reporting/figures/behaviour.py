"""What policies do: every share of behaviour, and the evasive ones (figure 11 of the paper)."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from cai_kedro.reporting.figures.grids import share_grid
from cai_kedro.reporting.figures.style import REFERENCE, bars, cast, explained, in_order, label, nothing
from cai_kedro.reporting.wording import Metrics, observations, percent

EVASION = "F11 · Evasive and boilerplate answers to red-team prompts"
EVASION_PAPER = (
    "HH RLHF is often evasive on harmful requests; RL-CAI almost never is, and it says why it objects (section 4.4). "
    "The paper has no harmless requests that only look harmful."
)
SHARES = "All behaviours of all policies"
SHARES_PAPER = (
    "The paper counts no such shares. It describes RL-CAI as harmless and not evasive, HH RLHF as harmless by evasion."
)
NO_ANSWERS = "no answer was judged."

EVASION_ALONE = "F11 · Evasive answers to red-team prompts"

_BY_LABELS = "By the judge's labels of single answers"
_WITH_BOILERPLATE = "; the evasive ones count those that are boilerplate, too"

OVER_REFUSAL = "over_refusal"
SHOWN = {"evasive": "#d1495b", "boilerplate": "#b5952c", OVER_REFUSAL: "#3b7ddd"}
_NAMES = {OVER_REFUSAL: "over-refusal of look-alikes"}


def draw_evasion(behaviour_metrics: Metrics) -> go.Figure:
    """Draw the evasive and the boilerplate share of each policy with 95 % intervals (F11), and how it over-refuses.

    Over-refusal is a share of look-alikes, harmless requests that only look harmful, where there are any.
    """
    shares = _shares(behaviour_metrics)
    policies = [policy for policy in in_order(list(shares)) if "evasive" in shares[policy]]
    if not policies:
        return nothing(EVASION, EVASION_PAPER, NO_ANSWERS)
    figure = go.Figure()
    for share, shade in SHOWN.items():
        shown = [policy for policy in policies if share in shares[policy]]
        if not shown:  # this judge does not name it
            continue
        figure.add_bar(
            x=[label(policy) for policy in shown],
            y=[100 * shares[policy][share]["value"] for policy in shown],
            error_y=bars([shares[policy][share] for policy in shown], 100, REFERENCE),
            marker_color=shade,
            name=_NAMES.get(share, share),
            customdata=[percent(shares[policy][share]) for policy in shown],
            hovertemplate="%{x}<br>%{customdata}<extra></extra>",
        )
    figure.update_layout(barmode="group").update_yaxes(title="share of answers, %", rangemode="tozero")
    figures = ", ".join(f"{policy} {percent(shares[policy]['evasive'], n=False)}" for policy in policies)
    counts = observations([shares[policy]["evasive"] for policy in policies])
    boilerplate = any("boilerplate" in shares[policy] for policy in policies)
    title, further = (EVASION, _WITH_BOILERPLATE) if boilerplate else (EVASION_ALONE, "")
    told = f"Evasive: {figures} ({counts} answers each). {_BY_LABELS}{further}.{_over_refusal(shares, policies)}"
    return explained(figure, title, EVASION_PAPER, told)


def _over_refusal(shares: Mapping[str, Mapping[str, Mapping[str, Any]]], policies: list[str]) -> str:
    measured = {policy: shares[policy][OVER_REFUSAL] for policy in policies if OVER_REFUSAL in shares[policy]}
    if not measured:
        return ""
    figures = ", ".join(f"{policy} {percent(share, n=False)}" for policy, share in measured.items())
    counts = observations(list(measured.values()))
    return f" Harmless requests that only look harmful are refused, preached at or ducked: {figures} ({counts} each)."


def draw_behaviours(behaviour_metrics: Metrics) -> go.Figure:
    """Draw a grid: one row a share, one column a policy, over all prompts of the share's kind."""
    shares = _shares(behaviour_metrics)
    policies = in_order(list(shares))
    names = list(dict.fromkeys(name for policy in policies for name in shares[policy]))
    if not names:
        return nothing(SHARES, SHARES_PAPER, NO_ANSWERS)
    cells = [[shares[policy].get(name) for policy in policies] for name in names]
    figure = share_grid(policies, names, cells)
    explained(figure, SHARES, SHARES_PAPER, _found(shares, policies), height=90 + 30 * len(names))
    return figure.update_layout(margin={"l": 120, "t": 60, "b": 10})


def _shares(metrics: Metrics) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Return policy → share → estimate over all splits, from `behaviour.{policy}.all.{share}`."""
    shares: dict[str, dict[str, Mapping[str, Any]]] = {}
    for name, estimate in metrics.items():
        _, policy, split, share = name.split(".", 3)
        if split == "all":
            shares.setdefault(policy, {})[share] = estimate
    return shares


def _found(shares: Mapping[str, Mapping[str, Mapping[str, Any]]], policies: list[str]) -> str:
    told_of = [
        f"{policy} complies in {percent(shares[policy]['complies'], n=False)}, objects for the right reason in "
        f"{percent(shares[policy]['objects'])}, and gives right advice on harmless requests in "
        f"{percent(shares[policy]['right'])}"
        for policy in (cast().reference, cast().headline)
        if policy in policies and {"complies", "objects", "right"} <= set(shares[policy])
    ]
    text = "Percent of the answers; point at a cell for its interval."
    return f"{'; '.join(told_of)}. {text}" if told_of else text
