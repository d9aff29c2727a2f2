"""One MLflow run and what is written to it; nothing else of the project calls MLflow."""

import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from cai_kedro.hooks.provenance import HOST, has_ended, process_tags

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

logger = logging.getLogger(__name__)

# what MLflow takes in one call
METRICS_AT_ONCE, PARAMETERS_AT_ONCE, TAGS_AT_ONCE = 1000, 100, 100
MAX_NAME, MAX_TAG = 250, 5000

T = TypeVar("T")


def sweep(client: "MlflowClient", experiment_id: str) -> list[str]:
    """Mark as killed what still stands as running though its process is gone; returns the run ids."""
    running = client.search_runs(
        [experiment_id], filter_string=f"attributes.status = 'RUNNING' AND tags.`{HOST}` LIKE '%'", max_results=1000
    )
    stale = [run.info.run_id for run in running if has_ended(run.data.tags)]
    for run_id in stale:
        client.set_tag(run_id, "error", "the process ended without a word (killed, or the machine stopped)")
        client.set_terminated(run_id, status="KILLED")
    return stale


class MlflowRun:
    """An open run. Every method writes at once, in as few calls as MLflow allows."""

    def __init__(self, client: "MlflowClient", experiment_id: str, name: str, tags: Mapping[str, str]) -> None:
        self.client = client
        self.experiment_id = experiment_id
        self.id: str = client.create_run(experiment_id, run_name=name, tags=_valid_tags(tags)).info.run_id

    def log_parameters(self, parameters: Mapping[str, str]) -> None:
        """Write parameters that `parameters.loggable` made."""
        from mlflow.entities import Param  # noqa: PLC0415

        for batch in _batches([Param(name, text) for name, text in parameters.items()], PARAMETERS_AT_ONCE):
            self.client.log_batch(self.id, params=batch)

    def log_estimates(self, estimates: Mapping[str, Mapping[str, float | None]]) -> None:
        """Write `{name: {value, low, high, n}}` as the metrics `name`, `name.low`, `name.high`, `name.n`."""
        self._log_metrics(
            self.id,
            [
                (name if field == "value" else f"{name}.{field}", float(number), 0)
                for name, estimate in estimates.items()
                for field in ("value", "low", "high", "n")
                if (number := estimate[field]) is not None
            ],
        )

    def log_curves(self, name: str, curves: pd.DataFrame) -> str:
        """Write a table `step, metric, value` as a nested run of that name; returns its id."""
        tags = {"mlflow.parentRunId": self.id, **process_tags()}
        run_id: str = self.client.create_run(self.experiment_id, run_name=name, tags=tags).info.run_id
        points = zip(curves["metric"], curves["value"], curves["step"], strict=True)
        self._log_metrics(run_id, [(metric, float(value), int(step)) for metric, value, step in points])
        self.client.set_terminated(run_id)
        return run_id

    def log_text(self, text: str, path: str) -> None:
        """Write a text as an artifact."""
        self.client.log_text(self.id, text, path)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Write tags; long values are cut."""
        from mlflow.entities import RunTag  # noqa: PLC0415

        for batch in _batches([RunTag(name, value) for name, value in _valid_tags(tags).items()], TAGS_AT_ONCE):
            self.client.log_batch(self.id, tags=batch)

    def finish(self, status: str) -> None:
        """Close the run as FINISHED, FAILED or KILLED."""
        self.client.set_terminated(self.id, status=status)

    def _log_metrics(self, run_id: str, points: Sequence[tuple[str, float, int]]) -> None:
        from mlflow.entities import Metric  # noqa: PLC0415

        now = int(time.time() * 1000)
        metrics = [Metric(valid_name(name), value, now, step) for name, value, step in points]
        for batch in _batches(metrics, METRICS_AT_ONCE):
            self.client.log_batch(run_id, metrics=batch)


def valid_name(name: str) -> str:
    """Return a name that MLflow takes: letters, digits and `_-. `; anything else becomes `_`."""
    return re.sub(r"[^\w\-. ]", "_", name, flags=re.ASCII)[:MAX_NAME]


def _valid_tags(tags: Mapping[str, Any]) -> dict[str, str]:
    return {valid_name(name): str(value)[:MAX_TAG] for name, value in tags.items()}


def _batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
