"""Runs beside one another: where their policies stand, and whether two settings differ (notebooks/compare_runs.ipynb).

Tables are long: `run, metric, value, low, high, n`, metrics named as in MLflow (`elo.harmlessness.rl_cai`). What the
comparison counts stands in `metrics/between_runs.py`.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from cai_kedro.metrics.between_runs import DIFFERENT
from cai_kedro.reporting.figures.style import PALETTE, REFERENCE, bars, in_order, label, marker
from cai_kedro.reporting.wording import below, number, told

COLUMNS = ("run", "metric", "value", "low", "high", "n")

#: What differs between runs of one setting.
OF_A_RUN = frozenset({"seed"})


def as_table(metrics_of_runs: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """Turn MLflow's metrics of each run (`name`, `name.low`, `name.high`, `name.n`) into the long table."""
    rows = [
        (
            run,
            name.removesuffix(".n"),
            *(metrics.get(name.removesuffix("n") + end) for end in ("low", "high")),
            metrics[name],
        )
        for run, metrics in metrics_of_runs.items()
        for name in sorted(metrics)
        if name.endswith(".n") and name.removesuffix(".n") in metrics
    ]
    table = pd.DataFrame(rows, columns=["run", "metric", "low", "high", "n"])
    values = [metrics_of_runs[run][metric] for run, metric in zip(table["run"], table["metric"], strict=True)]
    types = dict.fromkeys(("value", "low", "high"), float) | {"n": int}
    return table.assign(value=values)[list(COLUMNS)].astype(types)


def same_settings(settings_of_runs: Mapping[str, Mapping[str, str]]) -> list[list[str]]:
    """Group runs whose settings are equal but for the seed; groups and runs in the order of the runs."""
    groups: dict[frozenset[tuple[str, str]], list[str]] = {}
    for run, settings in settings_of_runs.items():
        key = frozenset((name, value) for name, value in settings.items() if name not in OF_A_RUN)
        groups.setdefault(key, []).append(run)
    return list(groups.values())


def draw_frontiers(table: pd.DataFrame, sides: Mapping[str, Sequence[str]]) -> go.Figure:
    """Draw the policies of all runs at their helpfulness and harmlessness Elo; a colour a side, a marker a policy.

    `sides` is the name of a side → its runs. Bars are 95 % intervals over the prompts of one run.
    """
    figure = go.Figure()
    for place, (side, runs) in enumerate(sides.items()):
        for run in runs:
            part = table[table["run"] == run]
            metrics = part.set_index("metric")[["value", "low", "high", "n"]].astype(object)
            estimates = metrics.where(metrics.notna(), None).to_dict("index")
            harmless, helpful = (below(estimates, f"elo.{criterion}") for criterion in ("harmlessness", "helpfulness"))
            policies = in_order([policy for policy in harmless if policy in helpful])
            figure.add_scatter(
                x=[helpful[policy]["value"] for policy in policies],
                y=[harmless[policy]["value"] for policy in policies],
                error_x=bars([helpful[policy] for policy in policies]),
                error_y=bars([harmless[policy] for policy in policies]),
                mode="markers+text",
                text=[label(policy) for policy in policies],
                textposition="top right",
                marker={"size": 11, "color": PALETTE[place % len(PALETTE)], "symbol": [marker(p) for p in policies]},
                name=label(f"{side}, {run}"),
                legendgroup=label(side),
                customdata=[[told(harmless[policy]), told(helpful[policy])] for policy in policies],
                hovertemplate="%{text}<br>harmlessness %{customdata[0]}<br>helpfulness %{customdata[1]}",
            )
    figure.update_layout(template="plotly_white", height=560)
    return figure.update_xaxes(title="helpfulness Elo").update_yaxes(title="harmlessness Elo")


def draw_differences(compared: pd.DataFrame, metrics: Mapping[str, str]) -> go.Figure:
    """Draw what `compare_sides` returned, a row a metric (name → what it is called).

    A point is filled where the sides are different, hollow where they are not told apart or nothing can be said, and
    has a bar only where it has an interval.
    """
    rows = compared.set_index("metric").reindex([name for name in metrics if name in set(compared["metric"])])
    spans = rows.rename(columns={"difference": "value"})[["value", "low", "high"]].astype(object)
    figure = go.Figure()
    figure.add_scatter(
        x=list(rows["difference"]),
        y=[label(metrics[str(metric)]) for metric in rows.index],
        error_x=bars(spans.where(spans.notna(), None).to_dict("records")),
        mode="markers",
        marker={
            "size": 9,
            "color": PALETTE[0],
            "symbol": ["circle" if verdict == DIFFERENT else "circle-open" for verdict in rows["verdict"]],
        },
        customdata=[_sides_told(row) for row in rows.to_dict("records")],
        hovertemplate="%{y}<br>%{customdata}<extra></extra>",
    )
    figure.add_vline(x=0, line={"color": REFERENCE, "dash": "dot", "width": 1})
    figure.update_layout(template="plotly_white", height=140 + 40 * len(rows))
    return figure.update_yaxes(autorange="reversed", automargin=True)


def _sides_told(row: Mapping[str, float | str]) -> str:
    """Write both sides: mean, standard deviation over runs, how many runs and prompts, and the verdict."""
    sides = []
    for side in ("first", "second"):
        mean, sd, runs = (float(row[f"{name}_{side}"]) for name in ("mean", "sd", "runs"))
        spread = "" if pd.isna(sd) else f", sd over runs {number(sd, 2)}"
        sides.append(f"{side}: {number(mean, 2)} ({runs:.0f} run{'s' if runs > 1 else ''}{spread})")
    return f"{'; '.join(sides)}; n = {float(row['n']):.0f}; {row['verdict']}"
