"""The figures of a chain as one long table."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from kedro.io import CatalogProtocol

COLUMNS = ("policy", "measure", "metric", "value", "low", "high", "n")
METRICS, EFFECTS = "_metrics", "_effects"
# What hooks/run_status.py logs at the end of a stage.
_STAGE = re.compile(r"stage \d+(?: of \d+)?: (?P<stage>\S+) (?P<seconds>[\d.]+) s$", re.MULTILINE)


def figures_of(catalog: CatalogProtocol, made: Collection[str], policies: Sequence[str], log: str) -> pd.DataFrame:
    """Return every metric that the stages of a chain make: `policy, measure, metric, value, low, high, n`.

    `metric` is its name in MLflow; `measure` the same without the policy, which is empty where it is of none. The
    metrics of the ablations are named `ablations.{ablation}.{variant}.{metric}`. `seconds.{stage}` is the wall time of
    a stage by `log`, the run.log of the chain, without what interrupted tries took.
    """
    rows: list[tuple[Any, ...]] = []
    for name in sorted(made):
        if name.endswith(METRICS):
            rows += _rows(catalog.load(name), policies)
        elif name.endswith(EFFECTS):
            rows += _rows(_of_ablations(catalog.load(name)), policies)
    rows += _rows(_wall_times(log), policies)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    if table["metric"].duplicated().any():
        raise ValueError(f"the metric {table[table['metric'].duplicated()]['metric'].iloc[0]!r} is there twice")
    return table


def split_name(metric: str, policies: Sequence[str]) -> tuple[str, str]:
    """Return the policy that a metric is of ("" for none) and the rest: `elo.harmlessness.rl_cai` is of `rl_cai`."""
    parts = metric.split(".")
    own = next((part for part in parts if part in policies), "")
    return own, ".".join(part for part in parts if part != own) if own else metric


def _rows(metrics: Mapping[str, Mapping[str, Any]], policies: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    for metric, figure in metrics.items():
        yield (*split_name(metric, policies), metric, *(figure[name] for name in ("value", "low", "high", "n")))


def _of_ablations(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return {
        ".".join(["ablations", *(re.sub(r"\W+", "_", str(row[part])) for part in ("ablation", "variant", "metric"))]): {
            name: row[name] for name in ("value", "low", "high", "n")
        }
        for row in table.to_dict("records")
    }


def _wall_times(log: str) -> dict[str, dict[str, Any]]:
    seconds = {found["stage"]: float(found["seconds"]) for found in _STAGE.finditer(log)}
    return {f"seconds.{stage}": {"value": value, "low": None, "high": None, "n": 1} for stage, value in seconds.items()}
