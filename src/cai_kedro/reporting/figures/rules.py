"""Which rules the thoughts of SELF-ALIGN name, and what the answers are like without each of them."""

import pandas as pd
import plotly.graph_objects as go

from cai_kedro.reporting.figures.grids import share_grid
from cai_kedro.reporting.figures.style import PALETTE, bars, explained, label, nothing
from cai_kedro.reporting.wording import differs, observations, percent, told

USAGE = "Which rules the thoughts name, by type of question"
BY_HARM = "Which rules the thoughts name, by the harm that is asked for"
USAGE_PAPER = "The paper of SELF-ALIGN proposes to look at what each of its sixteen rules does by itself."

LEFT_OUT = "Answers without one of the rules, beside those under all"

_RATING, _SHARE = "_rating_difference", "_share_difference"


def draw_rule_usage(rule_usage: pd.DataFrame) -> go.Figure:
    """Draw a grid: a row for each type of question, a column for each rule of the prompt."""
    return _usage_grid(rule_usage, "question_type", USAGE, "no thoughts of this run are well-formed.")


def draw_rule_usage_by_harm(rule_usage_by_harm: pd.DataFrame) -> go.Figure:
    """Draw a grid: a row for each harm that the judge names, and one for no harm, a column for each rule."""
    return _usage_grid(rule_usage_by_harm, "harm", BY_HARM, "the judge of this run names no harm of any question.")


def _usage_grid(usage: pd.DataFrame, by: str, title: str, empty: str) -> go.Figure:
    if usage.empty:
        return nothing(title, USAGE_PAPER, empty)
    kinds, rules = (list(dict.fromkeys(usage[column])) for column in (by, "rule"))
    cells = {
        (row[by], row["rule"]): {"value": row["share"], "low": row["low"], "high": row["high"], "n": row["n"]}
        for row in usage.to_dict("records")
    }
    grid = [[cells[kind, rule] for rule in rules] for kind in kinds]
    figure = share_grid(rules, [f"{kind} (n = {cells[kind, rules[0]]['n']})" for kind in kinds], grid)
    told = "; ".join(_most_named(kind, {rule: cells[kind, rule] for rule in rules}) for kind in kinds)
    found = f"Most named: {told}. Percent of the well-formed thoughts; point at a cell for its interval."
    explained(figure, title, USAGE_PAPER, found, height=120 + 30 * len(kinds))
    return figure.update_layout(margin={"l": 160, "t": 90, "b": 10})


def _most_named(kind: str, of_rules: dict[str, dict[str, float]]) -> str:
    rule = max(of_rules, key=lambda name: of_rules[name]["value"])
    return f"{kind}: {rule} in {percent(of_rules[rule])}"


def draw_rules_left_out(rules_left_out: pd.DataFrame) -> go.Figure:
    """Draw how ratings change without each rule, one row a rule, 95 % intervals.

    Of a judge that rates nothing, how the shares of behaviours change.
    """
    metrics = dict.fromkeys(rules_left_out["metric"])
    kind = next((end for end in (_RATING, _SHARE) if any(name.endswith(end) for name in metrics)), None)
    if kind is None:
        return nothing(LEFT_OUT, USAGE_PAPER, "no answer that may be learnt from has one without a rule beside it.")
    cells = {
        (row["left_out"], row["metric"].removesuffix(kind)): {part: row[part] for part in ("value", "low", "high", "n")}
        for row in rules_left_out.to_dict("records")
        if row["metric"].endswith(kind)
    }
    of, rules = (list(dict.fromkeys(key[place] for key in cells)) for place in (1, 0))
    figure = go.Figure()
    for name, shade in zip(of, [*PALETTE] * len(of), strict=False):
        shown = [rule for rule in rules if (rule, name) in cells]
        figure.add_scatter(
            x=[cells[rule, name]["value"] for rule in shown],
            y=[label(rule) for rule in shown],
            error_x=bars([cells[rule, name] for rule in shown]),
            orientation="h",
            mode="markers",
            marker={"size": 8, "color": shade},
            name=label(name),
            customdata=[told(cells[rule, name], 2) for rule in shown],
            hovertemplate=f"without %{{y}}, {label(name)}<br>%{{customdata}}<extra></extra>",
        )
    figure.add_vline(x=0, line_width=1, line_dash="dot")
    what = "rating" if kind == _RATING else "share"
    figure.update_xaxes(title=f"{what} without the rule less {what} with it")
    figure.update_yaxes(
        autorange="reversed", automargin=True, categoryorder="array", categoryarray=list(map(label, rules))
    )
    explained(figure, LEFT_OUT, USAGE_PAPER, _found_left_out(cells), height=130 + (20 + 10 * len(of)) * len(rules))
    return figure.update_layout(scattermode="group", margin_t=60)


def _found_left_out(cells: dict[tuple[str, str], dict[str, float]]) -> str:
    apart = [f"{name} without {rule} {told(cell, 2)}" for (rule, name), cell in cells.items() if differs(cell)]
    n = observations(list(cells.values()))
    chance = f"Of {len(cells)} intervals of 95 %, {len(cells) / 20:.1f} leave 0 out by chance."
    said = f"{'; '.join(apart)}." if apart else f"No interval leaves 0 out, {n} questions a rule."
    return f"{said} {chance} Only questions whose thoughts named the rule are compared."
