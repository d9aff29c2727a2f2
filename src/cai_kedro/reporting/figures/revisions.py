"""What revising does: scores and harmless share after each round (figure 5), critiqued against direct (figure 7)."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from cai_kedro.reporting.figures.style import FIRST, REFERENCE, SECOND, bars, explained, nothing
from cai_kedro.reporting.wording import Metrics, below, differs, digits_for, listed, percent, points, told

ROUNDS = "F5 · Score and harmless share after each revision"
ROUNDS_OF_SCORES = "F5 · Score after each revision"
ROUNDS_PAPER = "The harmlessness score rises with every revision, most with the first one (figure 5)."
CRITIQUES = "F7 · Critiqued against direct revisions"
CRITIQUES_PAPER = (
    "Critiques make the revisions of small models more harmless; for large models there is no clear difference "
    "(figure 7)."
)
NO_CHAINS = "no chain of revisions was scored or judged."
NO_HARMLESSNESS = "the judge of this run rates no revision."

Steps = dict[int, Mapping[str, Any]]


def draw_rounds(revision_metrics: Metrics) -> go.Figure:
    """Draw the mean preference model score and the share judged harmless after 0, 1, 2, … revisions (F5)."""
    scores = {
        arm: _by_step(below(revision_metrics, "pm_score"), f"{prefix}_")
        for arm, prefix in (("critique", "revision"), ("direct", "direct_revision"))
    }
    harmless = {arm: _by_step(below(revision_metrics, f"revisions.{arm}.harmless"), "step_") for arm in scores}
    panels = [
        (title, arms, scale, digits)
        for title, arms, scale, digits in (
            ("PM score", scores, 1.0, _score_digits(scores)),
            ("judged harmless, %", harmless, 100.0, 0),
        )
        if arms["critique"]
    ]
    if not panels:
        return nothing(ROUNDS, ROUNDS_PAPER, NO_CHAINS)
    titles = [title for title, *_ in panels]
    figure = make_subplots(rows=1, cols=len(panels), horizontal_spacing=0.14, subplot_titles=titles)
    for column, (_, arms, scale, digits) in enumerate(panels, start=1):
        for (arm, steps), shade in zip(arms.items(), (FIRST, SECOND), strict=True):
            figure.add_scatter(
                x=list(steps),
                y=[scale * estimate["value"] for estimate in steps.values()],
                error_y=bars(list(steps.values()), scale),
                mode="lines+markers",
                line={"color": shade, "dash": "solid" if arm == "critique" else "dash"},
                name="with critiques" if arm == "critique" else "direct",
                legendgroup=arm,
                showlegend=column == 1,
                customdata=[told(estimate, digits, scale) for estimate in steps.values()],
                hovertemplate="after %{x} revisions<br>%{customdata}<extra></extra>",
                row=1,
                col=column,
            )
    figure.update_xaxes(title="revisions", dtick=1)
    shown = ROUNDS if harmless["critique"] else ROUNDS_OF_SCORES
    explained(figure, shown, ROUNDS_PAPER, _found_in_rounds(revision_metrics, scores, harmless))
    return figure.update_layout(margin_t=70, legend_y=1.12)


def draw_critiques(revision_metrics: Metrics) -> go.Figure:
    """Draw the paired difference in harmless share, critiqued minus direct, after each round (F7)."""
    steps = _by_step(below(revision_metrics, "revisions.critique_over_direct.harmless"), "step_")
    if not steps:
        return nothing(CRITIQUES, CRITIQUES_PAPER, NO_HARMLESSNESS)
    figure = go.Figure(
        go.Scatter(
            x=list(steps),
            y=[100 * estimate["value"] for estimate in steps.values()],
            error_y=bars(list(steps.values()), 100),
            mode="markers",
            marker={"size": 10, "color": FIRST},
            customdata=[points(estimate) for estimate in steps.values()],
            hovertemplate="after %{x} revisions<br>%{customdata}<extra></extra>",
            showlegend=False,
        )
    )
    figure.add_hline(y=0, line={"color": REFERENCE, "dash": "dot", "width": 1})
    figure.update_xaxes(title="revisions", dtick=1, range=[0.5, max(steps) + 0.5])
    figure.update_yaxes(title="critiqued − direct, points")
    return explained(figure, CRITIQUES, CRITIQUES_PAPER, _found_by_critiques(steps), height=340)


def _score_digits(scores: Mapping[str, Steps]) -> int:
    return digits_for((estimate for steps in scores.values() for estimate in steps.values()), 2)


def _by_step(estimates: Mapping[str, Mapping[str, Any]], prefix: str) -> Steps:
    rest = {name.removeprefix(prefix): estimate for name, estimate in estimates.items() if name.startswith(prefix)}
    return {int(step): rest[step] for step in sorted((step for step in rest if step.isdigit()), key=int)}


def _found_in_rounds(metrics: Metrics, scores: Mapping[str, Steps], harmless: Mapping[str, Steps]) -> str:
    score, share = scores["critique"], harmless["critique"]
    gains = _by_step(below(metrics, "pm_score"), "revision_gain_")
    flat = [str(step) for step, gain in gains.items() if not (differs(gain) and gain["value"] > 0)]
    rises = (
        f"No gain that its interval would show in round {listed(flat)}."
        if flat
        else "The score rises in every round, each gain with an interval above 0."
    )
    parts = []
    if score:
        digits = _score_digits(scores)
        parts.append(f"the score goes from {told(score[0], digits, n=False)} to {told(score[max(score)], digits)}")
    if share:
        moves = "" if score else " goes"
        parts.append(f"the harmless share{moves} from {percent(share[0], n=False)} to {percent(share[max(share)])}")
    found = f"From no to {max(score or share)} revisions {', '.join(parts)}."
    return f"{found} {rises}" if score else found


def _found_by_critiques(steps: Steps) -> str:
    first, last = min(steps), max(steps)
    figures = f"Critiqued minus direct: {points(steps[first])} after {first} revision"
    if last != first:
        figures += f", {points(steps[last])} after {last}"
    clear = {step: estimate["value"] for step, estimate in steps.items() if differs(estimate)}
    if not clear:
        return f"{figures}. No interval leaves out 0: no difference is shown."
    ahead, behind = ([str(step) for step, gap in clear.items() if gap * sign > 0] for sign in (1, -1))
    told_of = [f"critiques are ahead in round {listed(ahead)}"] if ahead else []
    told_of += [f"direct revisions are ahead in round {listed(behind)}"] if behind else []
    return f"{figures}. By their intervals, {' and '.join(told_of)}."
