"""Which rules the thoughts of SELF-ALIGN name, by what is asked for."""

import pandas as pd
import plotly.graph_objects as go

from cai_kedro.reporting.figures.grids import share_grid
from cai_kedro.reporting.figures.style import explained, nothing
from cai_kedro.reporting.wording import percent

USAGE = "Which rules the thoughts name, by type of question"
USAGE_PAPER = "The paper of SELF-ALIGN proposes to look at what each of its sixteen rules does by itself."


def draw_rule_usage(rule_usage: pd.DataFrame) -> go.Figure:
    """Draw a grid: a row for each type of question, a column for each rule of the prompt."""
    if rule_usage.empty:
        return nothing(USAGE, USAGE_PAPER, "no thoughts of this run are well-formed.")
    types, rules = (list(dict.fromkeys(rule_usage[column])) for column in ("question_type", "rule"))
    cells = {
        (row.question_type, row.rule): {"value": row.share, "low": row.low, "high": row.high, "n": row.n}
        for row in rule_usage.itertuples()
    }
    grid = [[cells[kind, rule] for rule in rules] for kind in types]
    figure = share_grid(rules, [f"{kind} (n = {cells[kind, rules[0]]['n']})" for kind in types], grid)
    told = "; ".join(_most_named(kind, {rule: cells[kind, rule] for rule in rules}) for kind in types)
    found = f"Most named: {told}. Percent of the well-formed thoughts; point at a cell for its interval."
    explained(figure, USAGE, USAGE_PAPER, found, height=120 + 30 * len(types))
    return figure.update_layout(margin={"l": 160, "t": 90, "b": 10})


def _most_named(kind: str, of_rules: dict[str, dict[str, float]]) -> str:
    rule = max(of_rules, key=lambda name: of_rules[name]["value"])
    return f"{kind}: {rule} in {percent(of_rules[rule])}"
