"""How often labels and preference models choose the better answer (figure 4 of the paper asks this of a model)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from cai_kedro.reporting.figures.grids import RIGHT, share_grid
from cai_kedro.reporting.figures.style import (
    PALETTE,
    REFERENCE,
    bars,
    cast,
    colour,
    explained,
    in_order,
    label,
    nothing,
)
from cai_kedro.reporting.wording import SPACE, Metrics, below, percent, told

CHOICES = "Accuracy of AI labels and preference models"
UNDECIDED = "Whether the labels are right is not known: the judge decides none of the pairs"
CHOICES_PAPER = (
    "On 438 comparisons of its own, accuracy rises with the size of the model; the largest come close to preference "
    "models trained on human labels, and a chain of thought helps (figure 4)."
)
CONTRASTS = "Preference models, contrast by contrast"
CONTRASTS_PAPER = "The paper has no such table."

HARD = "F4 · Labels and preference models on the policies' own answers"
HARD_PAPER = "The paper has no such table; people wrote the 438 comparisons of its figure 4."
KINDS = {"sampled": "any two policies", "near": "near in rating", "none_ideal": "none ideal"}
CEILING = "ceiling"
#: The axis and the splits of which the sentences tell.
_MAIN = ("harmlessness", "all")

LABELS = {
    "label.ai.accuracy_one_order": "AI label, one order",
    "label.ai.accuracy": "AI label, both orders",
    "label.ai_cot.accuracy": "AI label after thoughts",
}


def draw_choices(*of_parts: Metrics) -> go.Figure:
    """Draw the accuracy of labels against the judge and of preference models on the judge's and on held-out pairs.

    `of_parts` are `label_metrics`, `preference_accuracy_metrics` and each arm's `preference_metrics`, those there are.
    """
    metrics: Metrics = {name: estimate for part in of_parts for name, estimate in part.items()}
    rows = {text: (metrics[name], PALETTE[0]) for name, text in LABELS.items() if name in metrics}
    for arm in _arms(metrics):
        for objective, estimate in below(metrics, f"pm_accuracy.{arm}").items():
            if "_over_" not in objective:
                rows[f"PM {arm}, {objective}"] = (estimate, colour(arm))
    for name, estimate in metrics.items():
        kind, _, rest = name.partition(".")
        arm, _, objective = rest.rpartition(".")
        if kind == "pm_held_out_accuracy" and objective == "all":
            rows[f"PM {arm}, held out"] = (estimate, colour(arm))
    if not rows:
        return nothing(CHOICES, CHOICES_PAPER, "nobody says how often labels and preference models are right.")
    figure = go.Figure(
        go.Scatter(
            x=[100 * estimate["value"] for estimate, _ in rows.values()],
            y=[label(name) for name in rows],
            error_x=bars([estimate for estimate, _ in rows.values()], 100, REFERENCE),
            mode="markers",
            marker={"size": 9, "color": [shade for _, shade in rows.values()]},
            customdata=[percent(estimate) for estimate, _ in rows.values()],
            hovertemplate="%{y}<br>%{customdata}<extra></extra>",
        )
    )
    figure.add_vline(x=50, line={"color": REFERENCE, "dash": "dot", "width": 1})
    figure.update_xaxes(title="right choices, %", range=[0, 102]).update_yaxes(autorange="reversed", automargin=True)
    figures = "; ".join(f"{name} {percent(rows[name][0])}" for name in list(rows) if _is_told(name))
    found = f"{figures or UNDECIDED}.{_left_out_and_order(metrics)}"
    return explained(figure, CHOICES, CHOICES_PAPER, found, height=110 + 26 * len(rows))


def draw_contrasts(preference_accuracy_metrics: Metrics) -> go.Figure:
    """Draw a grid of the preference models' accuracy: one row a contrast of the judge, one column an arm."""
    arms = {arm: below(preference_accuracy_metrics, f"pm_accuracy.{arm}") for arm in _arms(preference_accuracy_metrics)}
    names = [name for name in dict.fromkeys(name for cells in arms.values() for name in cells) if "_over_" in name]
    if not names:
        return nothing(CONTRASTS, CONTRASTS_PAPER, "the judge of this run makes no test pairs.")
    cells = [[contrasts.get(name) for contrasts in arms.values()] for name in names]
    rows = [name.replace("_over_", " > ").replace("_", " ") for name in names]
    figure = share_grid(list(arms), rows, cells, RIGHT).update_yaxes(automargin=True)
    found = _weakest(arms, names)
    explained(figure, CONTRASTS, CONTRASTS_PAPER, found, height=90 + 32 * len(names))
    return figure.update_layout(margin={"t": 60, "b": 10})


def draw_hard_tests(hard_test_accuracy: pd.DataFrame) -> go.Figure:
    """Draw a grid: how often labels and preference models choose as a rater does, beside the ceiling; splits below."""
    if hard_test_accuracy.empty:
        return nothing(HARD, HARD_PAPER, "the judge of this run rates no two answers of policies differently.")
    cells = {
        (row["chooser"], row["objective"], row["kind"], row["split"]): row
        for row in hard_test_accuracy.astype({"n": int}).to_dict("records")
    }
    tests = list(dict.fromkeys(key[1:] for key in cells))
    choosers = dict.fromkeys(key[0] for key in cells)
    arms = in_order([chooser for chooser in choosers if chooser != "ai"])
    columns = [*(["ai"] if "ai" in choosers else []), *arms]
    ceilings = {test: next(row for key, row in cells.items() if key[1:] == test) for test in tests}
    known = all(row["ceiling"] == row["ceiling"] for row in ceilings.values())
    grid = [
        [
            *([{**ceilings[test], "value": ceilings[test][CEILING], "low": None, "high": None}] if known else []),
            *(cells.get((chooser, *test)) for chooser in columns),
        ]
        for test in tests
    ]
    rows = [", ".join([test[0], KINDS[test[1]], *([] if test[2] == "all" else [test[2]])]) for test in tests]
    heads = [*([CEILING] if known else []), *("AI labels" if name == "ai" else name for name in columns)]
    figure = share_grid(heads, rows, grid, RIGHT).update_yaxes(automargin=True)
    explained(figure, HARD, HARD_PAPER, _hard_found(cells, known), height=90 + 26 * len(rows))
    return figure.update_layout(margin={"t": 60, "b": 10})


def _hard_found(cells: Mapping[tuple[str, str, str, str], Mapping[str, Any]], known: bool) -> str:
    """Say how labels and the headline's preference model do at harmful requests, kind by kind."""
    sentences = []
    for chooser, name in (("ai", "AI labels"), (cast().headline, f"The preference model of {cast().headline}")):
        of = {kind: row for (who, axis, kind, split), row in cells.items() if (who, axis, split) == (chooser, *_MAIN)}
        told_of = [
            f"{KINDS[kind]} {percent(row)}{f' of {100 * row[CEILING]:.0f}{SPACE}%' if known else ''}"
            for kind, row in of.items()
        ]
        if told_of:
            sentences.append(f"{name}: {'; '.join(told_of)}")
    against = (
        "Percent of raters that a choice agrees with, beside the ceiling: what nobody can exceed, as raters disagree."
        if known
        else "Percent of better answers chosen."
    )
    told_of_all = f" Harmlessness. {'. '.join(sentences)}." if sentences else ""
    return (
        f"{against}{told_of_all} Chance is 50 %. Pairs are answers of two policies to the same held-out prompt; none "
        "ideal: without an objection, or right advice."
    )


def _left_out_and_order(metrics: Metrics) -> str:
    """Say which pairs an accuracy of labels is about, and what the order of the options does to all pairs."""
    sentences = []
    for source, name in (("ai", "AI labels"), ("ai_cot", "AI labels after thoughts")):
        decided, effect, flips = (
            metrics.get(f"label.{source}.{metric}") for metric in ("decided", "order_effect", "order_flips")
        )
        if decided:
            left_out = {"value": 1 - decided["value"], "low": 1 - decided["high"], "high": 1 - decided["low"]}
            sentences.append(
                f"{name}: the accuracy leaves out the pairs whose two answers the judge rates alike, "
                f"{percent({**left_out, 'n': decided['n']})}"
            )
        if effect and flips:
            of = "" if decided else f"{name}: "
            sentences.append(
                f"{of}over all pairs the other order moves the label by {told(effect, 2, n=False)} on average and "
                f"turns the choice round in {percent(flips)}"
            )
    return f" {'; '.join(sentences)}." if sentences else ""


def _arms(metrics: Metrics) -> list[str]:
    return in_order(list(dict.fromkeys(name.split(".")[1] for name in metrics if name.startswith("pm_accuracy."))))


def _is_told(name: str) -> bool:
    return name.startswith("AI label") or name in (
        f"PM {cast().headline}, harmlessness",
        f"PM {cast().headline}, helpfulness",
    )


def _weakest(arms: Mapping[str, Mapping[str, Mapping[str, Any]]], names: list[str]) -> str:
    arm = cast().headline if cast().headline in arms else next(iter(arms))
    known = sorted((name for name in names if name in arms[arm]), key=lambda name: arms[arm][name]["value"])[:3]
    figures = "; ".join(
        f"{name.replace('_over_', ' > ').replace('_', ' ')} {percent(arms[arm][name])}" for name in known
    )
    return f"Percent of right choices. The weakest contrasts of {arm}: {figures}. Chance is 50 %."
