"""What is recorded of a run in MLflow, and when.

Takes the place of the hook of kedro-mlflow, whose configuration file and command line stay: that hook logs
`--params token=…`, cannot flatten validated parameters, and leaves killed runs open.
"""

import atexit
import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from cai_kedro.core.constitution import Constitution
from cai_kedro.core.csv_text import as_csv
from cai_kedro.core.rules import RuleSet
from cai_kedro.hooks.faults import PreflightError
from cai_kedro.hooks.mlflow_run import MlflowRun, sweep
from cai_kedro.hooks.mlflow_store import absolute_uri, experiment_of, store_fault
from cai_kedro.hooks.parameters import flatten, is_used, loggable, used_by
from cai_kedro.hooks.provenance import machine_tags, run_tags, version_tags
from cai_kedro.hooks.quiet import wanted_threads
from cai_kedro.hooks.run_names import artifact, is_parameter, pipeline_names, run_name
from cai_kedro.hooks.written_by_people import counts_of
from cai_kedro.reporting.summary import render_summary

logger = logging.getLogger(__name__)

METRICS, CURVES, SUMMARIES = "_metrics", "_curves", "_summary"
#: What the run is computed on.
MACHINE = "machine"
#: What is not there to measure with, a line each.
NOT_MEASURED = "not_measured"
#: Which policy along an arm's training is kept.
CHOICE = ".snapshot_choice"
#: The page at the end of a run.
REPORT = "report"
#: What MLflow shows on top of a run's page, as Markdown.
DESCRIPTION = "mlflow.note.content"
#: So often in a row may MLflow fail; then the rest of a run is not recorded.
MAX_FAILURES = 3


def first_line(error: BaseException) -> str:
    """Return what an error says, without the statement and the link that SQLAlchemy adds."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def without_user(uri: str) -> str:
    """Return an address without the user and the password that it may hold."""
    return re.sub(r"//[^/@]*@", "//", uri)


class Tracking:
    """Opens one MLflow run per Kedro run, publishes what nodes save, and closes it, whatever happens.

    What keeps a run from being recorded is told before the first node. Once a run is open, a fault of MLflow is a
    warning: hours of training outlive a full disk or a locked database. After some faults in a row nothing more is
    sent, because each of them may wait.
    """

    def __init__(self) -> None:
        self._settings: Any = None
        self._run: MlflowRun | None = None
        self._pid = self._failures = 0
        self._loaded: dict[str, None] = {}
        self._saved: dict[str, None] = {}
        self._noted: set[str] = set()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Read `mlflow.yml`; nothing is opened yet. `kedro mlflow ui` reads `context.mlflow`."""
        from kedro_mlflow.config.kedro_mlflow_config import KedroMlflowConfig  # noqa: PLC0415 - imports MLflow

        settings = KedroMlflowConfig.model_validate(context.config_loader["mlflow"])
        settings.server.mlflow_tracking_uri = absolute_uri(
            settings.server.mlflow_tracking_uri, Path(context.project_path)
        )
        context.__setattr__("mlflow", settings)
        self._settings = settings

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Sweep what died, open a run, write parameters and tags."""
        self._close("KILLED")  # an interrupted run of this very process, in a notebook
        self._loaded, self._saved, self._noted = {}, {}, set()
        tracking = self._settings.tracking
        if set(pipeline_names(run_params)) <= set(tracking.disable_tracking.pipelines):
            return
        self._run = self._opened(run_params)
        self._pid, self._failures = os.getpid(), 0
        atexit.register(self._close, "KILLED")  # Ctrl-C is no exception for Kedro
        used = used_by([pipeline])
        parameters = catalog.load("parameters") if "parameters" in catalog else {}
        if MACHINE in catalog:
            # the threads are set by another hook, maybe after this one
            facts = {**catalog.load(MACHINE), "threads": str(wanted_threads(parameters))}
            self._publish(self._run.set_tags, machine_tags(facts))
        self._publish(
            self._run.log_parameters,
            loggable({path: value for path, value in flatten(parameters).items() if is_used(path, used)}),
        )

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Note what was read; the constitution and the rules are kept with the run, and how much people wrote."""
        if self._run is None or is_parameter(dataset_name):
            return
        if artifact(dataset_name) not in {artifact(name) for name in self._saved}:
            self._loaded[dataset_name] = None
        if dataset_name in self._noted:
            return
        if isinstance(data, (Constitution, RuleSet)):
            self._noted.add(dataset_name)
            self._publish(self._log_principles, dataset_name, data)
        if counts := counts_of(dataset_name, data):
            self._noted.add(dataset_name)
            self._publish(self._run.set_tags, counts)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Publish metrics, curves and tables by the last word of their name."""
        if self._run is None:
            return
        self._saved[dataset_name] = None
        if dataset_name.endswith(METRICS) and isinstance(data, Mapping):
            self._publish(self._log_metrics, dataset_name, data)
        elif dataset_name.endswith(CURVES) and isinstance(data, pd.DataFrame) and len(data):
            self._publish(self._run.log_curves, dataset_name.removesuffix(CURVES), data)
        elif dataset_name.endswith(SUMMARIES) and isinstance(data, pd.DataFrame):
            self._publish(self._log_summary, dataset_name, data)
        elif dataset_name.endswith(CHOICE) and isinstance(data, pd.DataFrame):
            self._publish(self._log_collapse, dataset_name.removesuffix(CHOICE), data)
        elif dataset_name == NOT_MEASURED and isinstance(data, pd.DataFrame) and len(data):
            self._publish(self._log_not_measured, data)
        elif dataset_name == REPORT and isinstance(data, str):
            self._publish(self._run.log_text, data, f"{REPORT}.html")

    @hook_impl
    def after_pipeline_run(self, catalog: CatalogProtocol) -> None:
        """Write the versions, close the run."""
        self._close("FINISHED", catalog)

    @hook_impl
    def on_pipeline_error(self, error: Exception, catalog: CatalogProtocol) -> None:
        """Write the versions and the error, close the run as failed."""
        self._close("FAILED", catalog, error)

    def _opened(self, run_params: dict[str, Any]) -> MlflowRun:
        """Open the store, the experiment and a run; raises `PreflightError` where one of them cannot be opened."""
        uri = self._settings.server.mlflow_tracking_uri
        if fault := store_fault(uri):
            raise PreflightError(f"nothing was run: {fault}")
        try:
            client, experiment_id = experiment_of(self._settings, Path(run_params["project_path"]))
            for run_id in sweep(client, experiment_id):
                logger.info("MLflow run %s was killed earlier and is now marked so", run_id)
            return MlflowRun(client, experiment_id, run_name(run_params), run_tags(run_params))
        except Exception as error:  # MLflow, SQLAlchemy, sqlite3 and requests raise their own
            logger.debug("MLflow cannot be opened", exc_info=True)
            raise PreflightError(
                f"nothing was run: MLflow cannot record a run at {without_user(uri)}: {first_line(error)}; correct "
                f"mlflow.yml"
            ) from error

    def _log_metrics(self, name: str, estimates: Mapping[str, Mapping[str, float | None]]) -> None:
        assert self._run is not None
        self._run.log_estimates(estimates)
        table = pd.DataFrame.from_dict(dict(estimates), orient="index", columns=["value", "low", "high", "n"])
        self._run.log_text(as_csv(table.rename_axis("metric").reset_index()), f"tables/{name}.csv")

    def _log_summary(self, name: str, table: pd.DataFrame) -> None:
        assert self._run is not None
        self._run.log_text(as_csv(table), f"tables/{name}.csv")
        self._run.set_tags({DESCRIPTION: f"```\n{render_summary(table)}\n```"})

    def _log_not_measured(self, table: pd.DataFrame) -> None:
        assert self._run is not None
        self._run.log_text(as_csv(table), f"tables/{NOT_MEASURED}.csv")
        self._run.set_tags({f"{NOT_MEASURED}.{row.missing}": row.line for row in table.itertuples()})

    def _log_collapse(self, arm: str, choice: pd.DataFrame) -> None:
        from cai_kedro.metrics.collapse import collapse_sentence  # noqa: PLC0415 - SciPy, a second

        assert self._run is not None
        if sentence := collapse_sentence(arm, choice):
            self._run.set_tags({f"collapse.{arm}": sentence})

    def _log_principles(self, name: str, written: Constitution | RuleSet) -> None:
        assert self._run is not None
        text = yaml.safe_dump(written.model_dump(mode="json"), allow_unicode=True, sort_keys=False, width=120)
        self._run.log_text(f"# sha256 {written.sha256}\n{text}", f"constitution/{name}.yml")
        self._run.set_tags({f"{name}.sha256": written.sha256})

    def _publish(self, write: Any, *arguments: Any) -> None:
        """Write; only in the process that opened the run, because a connection does not outlive a fork."""
        if os.getpid() != self._pid or self._failures >= MAX_FAILURES:
            return
        try:
            write(*arguments)
        except Exception as error:  # MLflow, SQLAlchemy, sqlite3 and requests raise their own: none may cost a table
            self._failures += 1
            logger.warning("MLflow did not take %s: %s", write.__name__.lstrip("_"), first_line(error))
            if self._failures == MAX_FAILURES:
                logger.warning("MLflow failed %d times in a row: from here on nothing is recorded there", MAX_FAILURES)
        else:
            self._failures = 0

    def _close(self, status: str, catalog: CatalogProtocol | None = None, error: Exception | None = None) -> None:
        run = self._run
        if run is None:
            return
        if catalog is not None:
            self._publish(run.set_tags, version_tags(catalog, self._loaded, self._saved))
        if error is not None:
            self._publish(run.set_tags, {"error": f"{type(error).__name__}: {error}"})
        self._publish(run.finish, status)
        self._run = None
        atexit.unregister(self._close)
