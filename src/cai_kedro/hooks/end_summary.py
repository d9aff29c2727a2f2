"""What the terminal shows when a run is done."""

import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol

from cai_kedro.hooks.terminal import write_line
from cai_kedro.reporting.summary import referee_lines, render_summary

SUMMARY, REFEREE, NOT_MEASURED = "policy_summary", "referee_metrics", "not_measured"
REPORT, MACHINE = "report", "machine"


class EndSummary:
    """Prints the policies' table and where the report is if the run made them, machine, time and memory, MLflow."""

    def __init__(self, echo: Callable[[str], None] = write_line, now: Callable[[], float] = time.perf_counter) -> None:
        self._echo = echo
        self._now = now
        self._began = now()
        self._table: pd.DataFrame | None = None
        self._referee: list[str] = []
        self._not_measured: list[str] = []
        self._open_mlflow = ""
        self._project = Path()
        self._has_report = False

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Note where runs are recorded."""
        self._open_mlflow = open_command(context.config_loader["mlflow"])
        self._project = Path(context.project_path)

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Start the clock."""
        self._began, self._table, self._has_report = self._now(), None, False
        self._referee, self._not_measured = [], []

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Keep the summary table and what is not measured, note the report."""
        if dataset_name == SUMMARY and isinstance(data, pd.DataFrame):
            self._table = data
        if dataset_name == REFEREE:
            self._referee = referee_lines(data)
        if dataset_name == NOT_MEASURED and isinstance(data, pd.DataFrame):
            self._not_measured = list(data["line"])
        self._has_report |= dataset_name == REPORT

    @hook_impl(trylast=True)
    def after_pipeline_run(self, catalog: CatalogProtocol) -> None:
        """Print; standard output, so that a table is not cut into log lines."""
        if self._table is not None:
            self._echo(f"\n{render_summary(self._table)}\n")
        for line in self._referee:
            self._echo(f"{line}\n")
        for line in self._not_measured:
            self._echo(f"not measured: {line}")
        self._echo(f"{duration(self._now() - self._began)}, at most {peak_memory() / 1e9:.1f} GB of memory")
        if MACHINE in catalog:
            from cai_kedro.engines.machine import machine_line  # noqa: PLC0415 - torch, seconds

            self._echo(f"machine: {machine_line(catalog.load(MACHINE))}")
        if self._has_report:
            self._echo(f"report, to open in a browser: {_from(self._project, catalog[REPORT])}")
        self._echo(f"curves, metrics and tables: {self._open_mlflow}")


def open_command(conf_mlflow: Mapping[str, Any]) -> str:
    """Return the command that opens MLflow, from the project folder, or the address of its server."""
    server, ui = conf_mlflow["server"], conf_mlflow["ui"]
    uri = server["mlflow_tracking_uri"]
    return uri if uri.startswith("http") else f"mlflow ui --backend-store-uri {uri} --host {ui['host']}"


def _from(project: Path, dataset: Any) -> Path:
    """Return where a dataset without versions lies, from the project folder if it is below."""
    path = Path(str(dataset._filepath))
    return path.relative_to(project) if path.is_relative_to(project) else path


def duration(seconds: float) -> str:
    """Write a duration: `45 s`, `2 min 05 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def peak_memory() -> int:
    """Return the most memory this process ever held, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
