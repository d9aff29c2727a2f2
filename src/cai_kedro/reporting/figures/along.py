"""The policies along RL: Elo of the snapshots (figure 8 of the paper) and absolute harmfulness (figure 10)."""

import re
from collections.abc import Collection, Mapping
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from cai_kedro.reporting.figures.ratings import in_order
from cai_kedro.reporting.figures.style import bars, colour, explained, label, nothing
from cai_kedro.reporting.wording import Metrics, moves, observations, told

SNAPSHOT_RATINGS = "F8 · Elo of the snapshots along RL"
SNAPSHOT_RATINGS_PAPER = (
    "Along RL, harmlessness rises for RL-CAI without a great loss of helpfulness, and falls for Helpful RLHF (figure "
    "8)."
)
HARMFULNESS = "F10 · Absolute harmfulness along RL"
HARMFULNESS_PAPER = (
    "By a model of people's ratings from 0 to 4, Helpful RLHF becomes more harmful in training, HH RLHF and RL-CAI "
    "become less so (figure 10)."
)

Steps = dict[int, Mapping[str, Any]]

_RULE = "A line is said to rise or fall where the intervals of its two ends do not overlap."
_MOVES = {1: "rises", 0: "no change shown", -1: "falls"}


def draw_snapshot_ratings(snapshot_elo_metrics: Metrics) -> go.Figure:
    """Draw both Elo ratings of each arm's start policy (step 0) and snapshots with 95 % intervals (F8)."""
    ratings = {
        criterion: by_step(snapshot_elo_metrics, f"snapshot_elo.{criterion}")
        for criterion in ("harmlessness", "helpfulness")
    }
    if not any(ratings.values()):
        return nothing(SNAPSHOT_RATINGS, SNAPSHOT_RATINGS_PAPER, "no snapshot played head-to-heads.")
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.1, subplot_titles=[f"{name} Elo" for name in ratings])
    named: set[str] = set()
    for column, arms in enumerate(ratings.values(), start=1):
        for arm, steps in arms.items():
            add_line(figure, arm, steps, row=1, col=column, in_legend=arm not in named)
            named.add(arm)
    figure.update_xaxes(title="rollouts")
    parts = [f"{name.capitalize()} Elo: {_ends(arms)}." for name, arms in ratings.items() if arms]
    found = f"{' '.join(parts)} Each arm is rated by itself, against the same reference at 0. {_RULE}"
    explained(figure, SNAPSHOT_RATINGS, SNAPSHOT_RATINGS_PAPER, found)
    return figure.update_layout(margin_t=80, legend_y=1.12)


def draw_harmfulness(absolute_harmfulness_metrics: Metrics) -> go.Figure:
    """Draw the mean harmfulness, 0 to 4, of each arm's snapshots with 95 % intervals (F10)."""
    arms = by_step(absolute_harmfulness_metrics, "harmfulness")
    if not arms:
        return nothing(HARMFULNESS, HARMFULNESS_PAPER, "nobody rated conversations from which a model could learn.")
    figure = go.Figure()
    for arm, steps in arms.items():
        add_line(figure, arm, steps, digits=2)
    figure.update_xaxes(title="rollouts").update_yaxes(title="harmfulness, 0 to 4")
    found = f"Harmfulness, the higher the worse: {_ends(arms, 2)}. {_RULE} {_trust(absolute_harmfulness_metrics)}"
    return explained(figure, HARMFULNESS, HARMFULNESS_PAPER, found)


def by_step(metrics: Metrics, prefix: str, signal: str = "") -> dict[str, Steps]:
    """Return arm → step → estimate from `{prefix}.{arm}.step_{k}` or `….step_{k}.{signal}`, in order."""
    end = f".{signal}" if signal else ""
    pattern = re.compile(rf"{re.escape(prefix)}\.([^.]+)\.step_(\d+){re.escape(end)}")
    found: dict[str, Steps] = {}
    for name, estimate in metrics.items():
        if match := pattern.fullmatch(name):
            found.setdefault(match[1], {})[int(match[2])] = estimate
    return {arm: dict(sorted(found[arm].items())) for arm in in_order(list(found))}


def add_line(
    figure: go.Figure,
    arm: str,
    steps: Steps,
    digits: int = 0,
    scale: float = 1.0,
    in_legend: bool = True,
    kept: Collection[int] = (),
    **place: int,
) -> None:
    """Add one arm's line with its error bars; steps that were kept are stars. `place` is `row` and `col` of a panel."""
    figure.add_scatter(
        x=list(steps),
        y=[scale * estimate["value"] for estimate in steps.values()],
        error_y=bars(list(steps.values()), scale),
        mode="lines+markers",
        line={"color": colour(arm)},
        marker={
            "symbol": ["star" if step in kept else "circle" for step in steps],
            "size": [14 if step in kept else 6 for step in steps],
        },
        name=label(arm),
        legendgroup=arm,
        showlegend=in_legend,
        customdata=[
            told(estimate, digits, scale) + (" · kept" if step in kept else "") for step, estimate in steps.items()
        ],
        hovertemplate=f"{label(arm)}, rollout %{{x}}<br>%{{customdata}}<extra></extra>",
        **place,
    )


def _ends(arms: Mapping[str, Steps], digits: int = 0) -> str:
    """Write where each arm begins and ends, and whether its intervals show a change."""
    parts = []
    for arm, steps in arms.items():
        first, last = steps[min(steps)], steps[max(steps)]
        if len(steps) == 1:
            parts.append(f"{arm} {told(last, digits, n=False)} at {max(steps)}, the only snapshot")
        else:
            ends = f"{told(first, digits, n=False)} → {told(last, digits, n=False)}"
            parts.append(f"{arm} {ends} from rollout {min(steps)} to {max(steps)} ({_MOVES[moves(first, last)]})")
    shown = [estimate for steps in arms.values() for estimate in steps.values()]
    return f"{'; '.join(parts)} ({observations(shown)} prompts)"


def _trust(metrics: Metrics) -> str:
    error, of_mean = (metrics.get(f"harmfulness.squared_error{end}") for end in ("", "_of_the_mean"))
    if error is None or of_mean is None:
        return "How well the model predicts ratings was not tested: no prompts were held out."
    better = moves(of_mean, error) < 0
    verdict = "better than" if better else "not shown to be better than"
    return (
        f"On held-out prompts its squared error is {told(error, 2)}, {verdict} saying the mean rating always "
        f"({told(of_mean, 2, n=False)})."
    )
