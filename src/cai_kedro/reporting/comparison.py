"""Runs beside one another: where their policies stand, and by how much they differ (notebooks/compare_runs.ipynb).

Tables are long: `run, metric, value, low, high, n`, metrics named as in MLflow (`elo.harmlessness.rl_cai`).
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from cai_kedro.reporting.figures.ratings import in_order
from cai_kedro.reporting.figures.style import PALETTE, REFERENCE, bars, label, marker
from cai_kedro.reporting.wording import below, told

COLUMNS = ("run", "metric", "value", "low", "high", "n")


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


def differences(table: pd.DataFrame, against: str) -> pd.DataFrame:
    """Return every metric of the other runs minus that of `against`, with 95 % intervals; `n` is the smaller one.

    The errors of two runs are taken as independent: half-widths add as squares. Runs that were judged at the same
    prompts have errors that go together, so these intervals are rather too wide. An estimate without an interval (the
    reference of the Elo ratings) counts as exact. Raises `ValueError` for a run that is not in the table.
    """
    if against not in set(table["run"]):
        raise ValueError(f"there is no run {against!r} to compare with; the runs are {sorted(set(table['run']))}")
    known = table.assign(low=table["low"].fillna(table["value"]), high=table["high"].fillna(table["value"]))
    base = known[known["run"] == against].drop(columns="run")
    both = known[known["run"] != against].merge(base, on="metric", suffixes=("", "_base"))
    value = both["value"] - both["value_base"]
    down = np.hypot(both["value"] - both["low"], both["high_base"] - both["value_base"])
    up = np.hypot(both["high"] - both["value"], both["value_base"] - both["low_base"])
    n = both[["n", "n_base"]].min(axis=1)
    return both[["run", "metric"]].assign(value=value, low=value - down, high=value + up, n=n)[list(COLUMNS)]


def draw_frontiers(table: pd.DataFrame) -> go.Figure:
    """Draw the policies of all runs at their helpfulness and harmlessness Elo; a colour a run, a marker a policy."""
    figure = go.Figure()
    for place, (run, part) in enumerate(table.groupby("run", sort=False)):
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
            name=label(str(run)),
            customdata=[[told(harmless[policy]), told(helpful[policy])] for policy in policies],
            hovertemplate="%{text}<br>harmlessness %{customdata[0]}<br>helpfulness %{customdata[1]}",
        )
    figure.update_layout(template="plotly_white", height=560)
    return figure.update_xaxes(title="helpfulness Elo").update_yaxes(title="harmlessness Elo")


def draw_differences(table: pd.DataFrame, metrics: Mapping[str, str]) -> go.Figure:
    """Draw differences with their intervals, a row a metric (name → what it is called), a colour a run."""
    figure = go.Figure()
    for place, (run, part) in enumerate(table.groupby("run", sort=False)):
        rows = (
            part[part["metric"].isin(metrics)]
            .set_index("metric")
            .reindex([m for m in metrics if m in set(part["metric"])])
        )
        figure.add_scatter(
            x=list(rows["value"]),
            y=[label(metrics[str(metric)]) for metric in rows.index],
            error_x=bars(rows.to_dict("records")),
            mode="markers",
            marker={"size": 9, "color": PALETTE[(place + 1) % len(PALETTE)]},
            name=label(str(run)),
            customdata=[told(row, 1) for row in rows.to_dict("records")],
            hovertemplate="%{y}<br>%{customdata}",
        )
    figure.add_vline(x=0, line={"color": REFERENCE, "dash": "dot", "width": 1})
    figure.update_layout(template="plotly_white", height=140 + 40 * len(metrics))
    return figure.update_yaxes(autorange="reversed", automargin=True)
