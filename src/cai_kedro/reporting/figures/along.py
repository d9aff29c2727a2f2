"""The policies along RL: Elo of the snapshots (figure 8 of the paper) and absolute harmfulness (figure 10)."""

import re
from collections.abc import Collection, Mapping
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from cai_kedro.reporting.figures.style import bars, cast, colour, explained, in_order, label, nothing
from cai_kedro.reporting.wording import Metrics, axes_in, below, differs, observations, told

SNAPSHOT_RATINGS = "F8 · Elo of the snapshots along RL"
SNAPSHOT_RATINGS_PAPER = (
    "Along RL, harmlessness rises for RL-CAI without a great loss of helpfulness, and falls for Helpful RLHF. The RLHF "
    "arms start from a pretrained model, the RL-CAI arms from SL-CAI (figure 8)."
)
HARMFULNESS = "F10 · Absolute harmfulness along RL"
HARMFULNESS_PAPER = (
    "By a model of people's ratings from 0 to 4, Helpful RLHF becomes more harmful in training, HH RLHF and RL-CAI "
    "become less so (figure 10)."
)

Steps = dict[int, Mapping[str, Any]]

_RULE = (
    "A line is said to rise or fall where the 95 % interval of the difference between its two ends, at the same "
    "prompts, leaves out 0."
)


_NO_RATINGS = "nobody rated conversations from which a model could learn."


def draw_snapshot_ratings(snapshot_elo_metrics: Metrics) -> go.Figure:
    """Draw the Elo ratings of each arm's start policy (step 0) and snapshots with 95 % intervals (F8)."""
    ratings = {
        axis: by_step(snapshot_elo_metrics, f"snapshot_elo.{axis}")
        for axis in axes_in(snapshot_elo_metrics, "snapshot_elo", 2)
    }
    if not any(ratings.values()):
        return nothing(SNAPSHOT_RATINGS, SNAPSHOT_RATINGS_PAPER, "no snapshot played head-to-heads.")
    titles = [f"{name} Elo" for name in ratings]
    figure = make_subplots(rows=1, cols=len(ratings), horizontal_spacing=0.1, subplot_titles=titles)
    named: set[str] = set()
    for column, arms in enumerate(ratings.values(), start=1):
        for arm, steps in arms.items():
            add_line(figure, arm, steps, row=1, col=column, in_legend=arm not in named)
            named.add(arm)
    figure.update_xaxes(title=cast().step_unit)
    changes = {name: below(snapshot_elo_metrics, f"snapshot_elo_change.{name}") for name in ratings}
    parts = [f"{name.capitalize()} Elo: {_ends(arms, changes[name])}." for name, arms in ratings.items() if arms]
    found = (
        f"{' '.join(parts)} At rollout 0 stands the policy that an arm starts from: the pretrained model for the RLHF "
        f"arms, SL-CAI for the RL-CAI arms. All are rated together. {_RULE}"
    )
    explained(figure, SNAPSHOT_RATINGS, SNAPSHOT_RATINGS_PAPER, found)
    return figure.update_layout(margin_t=80, legend_y=1.12)


def draw_harmfulness(absolute_harmfulness_metrics: Metrics) -> go.Figure:
    """Draw the mean harmfulness of each arm's start policy (step 0) and snapshots with 95 % intervals (F10)."""
    arms = by_step(absolute_harmfulness_metrics, "harmfulness")
    if not arms:
        reason = "no policy was trained by RL." if absolute_harmfulness_metrics else _NO_RATINGS
        return nothing(HARMFULNESS, HARMFULNESS_PAPER, reason)
    figure = go.Figure()
    for arm, steps in arms.items():
        add_line(figure, arm, steps, digits=2)
    figure.update_xaxes(title=cast().step_unit).update_yaxes(title="harmfulness, 0 to 4")
    changes = below(absolute_harmfulness_metrics, "harmfulness_change")
    found = (
        f"Harmfulness, the higher the worse: {_ends(arms, changes, 2)}. {_RULE} {_trust(absolute_harmfulness_metrics)}"
    )
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


def _ends(arms: Mapping[str, Steps], changes: Metrics, digits: int = 0) -> str:
    """Write where each arm begins and ends, and whether the paired difference of the two shows a change."""
    parts = []
    for arm, steps in arms.items():
        first, last = steps[min(steps)], steps[max(steps)]
        if max(steps) == 0:
            parts.append(f"{arm} {told(last, digits, n=False)}, its start policy, without RL")
        elif len(steps) == 1:
            parts.append(f"{arm} {told(last, digits, n=False)} at {max(steps)}, the only snapshot")
        else:
            ends = f"{told(first, digits, n=False)} → {told(last, digits, n=False)}"
            parts.append(
                f"{arm} {ends} from rollout {min(steps)} to {max(steps)} ({_change(changes.get(arm), digits)})"
            )
    shown = [estimate for steps in arms.values() for estimate in steps.values()]
    return f"{'; '.join(parts)} ({observations(shown)} prompts)"


def _change(change: Mapping[str, Any] | None, digits: int) -> str:
    if change is None:
        return "no paired difference was measured"
    verdict = "no change shown" if not differs(change) else "rises" if change["value"] > 0 else "falls"
    return f"{verdict}: {told(change, digits, n=False)}"


def _trust(metrics: Metrics) -> str:
    error, of_mean, gain = (metrics.get(f"harmfulness.squared_error{end}") for end in ("", "_of_the_mean", "_gain"))
    if error is None or of_mean is None or gain is None:
        text = "How well the model predicts ratings was not tested: no prompts were held out."
    else:
        verdict = "better than" if differs(gain) and gain["value"] > 0 else "not shown to be better than"
        text = (
            f"On held-out prompts, answered as those it learned from, its squared error is {told(error, 2)}, {verdict} "
            f"saying the mean rating always ({told(of_mean, 2, n=False)})."
        )
    of_policies, biases = below(metrics, "harmfulness.squared_error"), below(metrics, "harmfulness.bias")
    if not of_policies:
        return f"{text} On the policies' own answers it was not tested: nobody rated them."
    figures = "; ".join(
        f"{policy} {told(of_policies[policy], 2, n=False)}, score less rating {told(biases[policy], 2, n=False)}"
        for policy in in_order(list(of_policies))
    )
    return f"{text} On the policies' own answers: {figures} ({observations(list(of_policies.values()))} answers each)."
