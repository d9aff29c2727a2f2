"""Training curves of the arms."""

from collections.abc import Callable, Mapping

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from cai_kedro.reporting.figures.style import colour, explained, label, nothing
from cai_kedro.reporting.wording import finer, listed, number

REINFORCEMENT = "Reinforcement learning, rollout by rollout"
REINFORCEMENT_PAPER = "The paper shows no such curves; it follows snapshots by Elo instead (figures 8 and 10)."
PREFERENCE = "Training of the preference models"
PREFERENCE_PAPER = "The paper shows no such curves."
#: Up to here every step has its tick: there is no rollout 1.5.
FEW_STEPS = 12
ONE_TRAINING = "One training each, so there is no interval."


#: Metrics of a training and what they are called.
RL_PANELS = {
    "pm_score": "PM score",
    "judge_score": "labeller's score, log-odds against the start policy's reply",
    "kl": "KL, nats",
    "response_length": "reply length, tokens",
    "eos_rate": "replies that end",
    "margin": "margin of the preferred answer, log-odds",
    "accuracy": "preferred answer ahead",
}
PREFERENCE_PANELS = {"loss": "loss", "accuracy": "batch accuracy"}


def rl_curves_of(arms: tuple[str, ...]) -> Callable[..., go.Figure]:
    """Return the function that draws score, KL, length and share of ended replies; one table of curves an arm.

    An arm that learns from comparisons alone has margin and accuracy of its batches in their place, one without RL
    nothing.
    """

    def draw_rl_curves(*curves: pd.DataFrame) -> go.Figure:
        tables = dict(zip(arms, curves, strict=True))
        return _panels(tables, RL_PANELS, REINFORCEMENT, REINFORCEMENT_PAPER, "rollout")

    return draw_rl_curves


def preference_curves_of(arms: tuple[str, ...]) -> Callable[..., go.Figure]:
    """Return the function that draws loss and accuracy of preference models in training; one table of curves an arm."""

    def draw_preference_curves(*curves: pd.DataFrame) -> go.Figure:
        tables = dict(zip(arms, curves, strict=True))
        return _panels(tables, PREFERENCE_PANELS, PREFERENCE, PREFERENCE_PAPER, "step")

    return draw_preference_curves


def _panels(
    curves: Mapping[str, pd.DataFrame], panels: Mapping[str, str], title: str, paper: str, unit: str
) -> go.Figure:
    known = {name for table in curves.values() for name in table["metric"].unique()}
    shown = {name: text for name, text in panels.items() if name in known}
    if not shown:
        return nothing(title, paper, "no training left curves.")
    rows = (len(shown) + 1) // 2
    named: set[str] = set()
    figure = make_subplots(
        rows=rows, cols=2, subplot_titles=list(shown.values()), horizontal_spacing=0.12, vertical_spacing=0.22 / rows
    )
    for place, name in enumerate(shown):
        for arm, table in curves.items():
            line = table[table["metric"] == name].sort_values("step")
            if line.empty:
                continue
            figure.add_scatter(
                x=list(line["step"]),
                y=list(line["value"]),
                mode="lines",
                line={"color": colour(arm)},
                name=label(arm),
                legendgroup=arm,
                showlegend=arm not in named,
                row=place // 2 + 1,
                col=place % 2 + 1,
            )
            named.add(arm)
    figure.update_xaxes(title=unit, row=rows)
    if max(int(table["step"].max()) for table in curves.values() if len(table)) <= FEW_STEPS:
        figure.update_xaxes(dtick=1)
    explained(figure, title, paper, _found(curves, next(iter(shown)), shown, unit), height=110 + 240 * rows)
    return figure.update_layout(margin_t=80, legend_y=1 + 0.12 / rows)


def _found(curves: Mapping[str, pd.DataFrame], metric: str, shown: Mapping[str, str], unit: str) -> str:
    parts = []
    for arm, table in curves.items():
        line = table[table["metric"] == metric].sort_values("step")["value"]
        if len(line):
            digits = finer(abs(line.iloc[-1] - line.iloc[0]), 2)
            ends = f"{number(line.iloc[0], digits)} → {number(line.iloc[-1], digits)}"
            parts.append(f"{arm} {ends} (n = {len(line)} {unit}s)")
    untrained = [arm for arm, table in curves.items() if table.empty]
    none = f" Not trained: {listed(untrained)}." if untrained else ""
    return f"{_sentence(shown[metric])}, first to last {unit}: {', '.join(parts)}. {ONE_TRAINING}{none}"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
