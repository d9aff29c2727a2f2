"""Over-training: what the preference model sees along RL beside what the judge sees (section 4.3 of the paper)."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from cai_kedro.metrics.collapse import collapse_sentence
from cai_kedro.metrics.over_optimisation import is_untrained, keeps_start
from cai_kedro.reporting.figures.along import Steps, add_line, by_step
from cai_kedro.reporting.figures.style import cast, explained, nothing
from cai_kedro.reporting.wording import Metrics, below, differs, digits_for, listed, observations, told

OVER_TRAINING = "F12 · Over-training: the score against the truth along RL"
OVER_TRAINING_PAPER = (
    "RL-CAI can be over-trained: it becomes overly harsh about harmful requests, and boilerplate enters most of its "
    "replies (section 4.3)."
)

#: Signal → its panel, the scale and the digits it is told with; the choice of the snapshot knew them all. The rating of
#: replies to red-team prompts, which it did not know, stands behind the first one.
PANELS = {
    "pm_score": ("PM score", 1.0, 2),
    "kl": ("KL, nats", 1.0, 2),
    "distinct_2": ("distinct pairs of words, %", 100.0, 0),
    "tokens": ("reply length, tokens", 1.0, 1),
    "eos_rate": ("replies that end, %", 100.0, 0),
    "evasive": ("evasive by rules on the text, %", 100.0, 0),
    "boilerplate": ("words said to many prompts, %", 100.0, 0),
}


#: Behind the step that is kept: of a snapshot, and of the start policy.
_KEPT = (" (kept)", " (start policy, kept)")


def over_training_of(arms: tuple[str, ...], axis: str | None) -> Callable[..., go.Figure]:
    """Return the function that draws every signal along RL (F12); one table of kind `snapshot_choice` an arm.

    `axis` is the one that red-team prompts are about, None if there is none.
    """

    def draw_over_training(over_training_metrics: Metrics, *choices: pd.DataFrame) -> go.Figure:
        names = ["pm_score", *([axis] if axis else []), *(name for name in PANELS if name != "pm_score")]
        signals = {name: by_step(over_training_metrics, "over_training", name) for name in names}
        shown = {name: lines for name, lines in signals.items() if lines}
        of_arms = dict(zip(arms, choices, strict=True))
        collapse = "".join(f" {sentence}." for arm in arms if (sentence := collapse_sentence(arm, of_arms[arm])))
        if "pm_score" not in shown:
            return nothing(OVER_TRAINING, OVER_TRAINING_PAPER, f"no snapshot's replies were scored.{collapse}")
        kept = {arm: _kept(choice) for arm, choice in of_arms.items()}
        truth = shown.get(axis, {}) if axis else {}
        figure = _panels(shown, kept)
        return explained(
            figure,
            OVER_TRAINING,
            OVER_TRAINING_PAPER,
            _found(shown["pm_score"], truth, kept, str(axis))
            + _starts_kept(of_arms)
            + _unscored(shown["pm_score"], kept)
            + _verdict(truth, over_training_metrics, str(axis))
            + collapse,
            height=110 + 200 * ((len(shown) + 1) // 2),
        ).update_layout(margin_t=90, legend_y=1.07)

    return draw_over_training


def _kept(choice: pd.DataFrame) -> list[int]:
    return [int(step) for step in choice[choice["kept"].astype(bool)]["step"]]


def _panels(shown: Mapping[str, Mapping[str, Steps]], kept: Mapping[str, list[int]]) -> go.Figure:
    rows = (len(shown) + 1) // 2
    figure = make_subplots(
        rows=rows,
        cols=2,
        subplot_titles=[_panel(name)[0] for name in shown],
        horizontal_spacing=0.12,
        vertical_spacing=0.3 / rows,
    )
    named: set[str] = set()
    for place, (name, lines) in enumerate(shown.items()):
        _, scale, least = _panel(name)
        digits = _digits(lines, least, scale)
        for arm, steps in lines.items():
            row, col = place // 2 + 1, place % 2 + 1
            new, stars = arm not in named, kept.get(arm, ())
            add_line(figure, arm, steps, digits, scale, in_legend=new, kept=stars, row=row, col=col)
            named.add(arm)
    return figure.update_xaxes(title=cast().step_unit, row=rows)


def _panel(name: str) -> tuple[str, float, int]:
    return PANELS.get(name, (f"true {name}, 0 to 4", 1.0, 2))


def _found(scores: Mapping[str, Steps], truth: Mapping[str, Steps], kept: Mapping[str, list[int]], axis: str) -> str:
    parts = []
    digits = _digits(scores, 2)
    for arm, steps in scores.items():
        stops = sorted({min(steps), *(step for step in kept.get(arm, ()) if step in steps), max(steps)})
        words = {step: _KEPT[step == 0] if step in kept.get(arm, ()) else "" for step in stops}
        where = ", ".join(f"{step}{words[step]}" for step in stops)
        values = f"PM score {_values(steps, stops, digits)}"
        if arm in truth:
            values += f", true {axis} {_values(truth[arm], stops, 2)}"
        parts.append(f"{arm} at rollouts {where}: {values}")
    counts = observations([estimate for steps in scores.values() for estimate in steps.values()])
    of_truth = observations([estimate for steps in truth.values() for estimate in steps.values()])
    rated = f", of which rated {of_truth}, those to red-team prompts" if truth else ""
    return f"{'; '.join(parts)} ({counts} replies a snapshot{rated}). "


def _starts_kept(choices: Mapping[str, pd.DataFrame]) -> str:
    """Say where the start policy is kept, and why."""
    closed = [arm for arm, choice in choices.items() if is_untrained(choice)]
    in_vain = [arm for arm, choice in choices.items() if keeps_start(choice) and arm not in closed]
    sentences = []
    if closed:
        model = "the preference model did" if len(closed) == 1 else "the preference models did"
        sentences.append(f"No RL in {listed(closed)}, as {model} not pass the gate: the start policy is kept. ")
    if in_vain:
        sentences.append(f"RL brought no clearly better policy in {listed(in_vain)}: the start policy is kept. ")
    return "".join(sentences)


def _unscored(scores: Mapping[str, Steps], kept: Mapping[str, list[int]]) -> str:
    arms = [arm for arm in kept if arm not in scores]
    if not arms:
        return ""
    return f"{listed(arms)} learned without a preference model: no score, the last snapshot in the limits is kept. "


def _values(steps: Steps, stops: list[int], digits: int) -> str:
    return " → ".join(told(steps[step], digits, n=False) for step in stops if step in steps)


def _digits(lines: Mapping[str, Steps], least: int, scale: float = 1.0) -> int:
    return digits_for((estimate for steps in lines.values() for estimate in steps.values()), least, scale)


def _verdict(truth: Mapping[str, Steps], metrics: Metrics, axis: str) -> str:
    """Say in which arms the last snapshot has a higher score and a worse truth than the one kept, prompt by prompt."""
    if not truth:
        return "No judge rated these replies, so nobody knows what the score is worth."
    changes = {arm: below(metrics, f"over_training_change.{arm}") for arm in truth}
    over = [arm for arm, change in changes.items() if _moved(change.get("pm_score")) > 0 > _moved(change.get(axis))]
    rule = "by the 95 % intervals of the differences at the same prompts"
    if not over:
        return f"After the snapshot kept, in no arm does the score rise while {axis} falls, {rule}."
    figures = "; ".join(
        f"{arm} (score {told(changes[arm]['pm_score'], 2)}; {axis} {told(changes[arm][axis], 2)})" for arm in over
    )
    return f"After the snapshot kept, the score rises and {axis} falls, {rule}, in {figures}."


def _moved(change: Mapping[str, Any] | None) -> int:
    """Return 1 where a difference is above 0, -1 where it is below, 0 where none is shown or none was measured."""
    if change is None or not differs(change):
        return 0
    return 1 if change["value"] > 0 else -1
