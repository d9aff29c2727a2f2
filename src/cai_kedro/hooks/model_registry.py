"""MLflow's record of the run that made a model, and the registry that an exported model goes to."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cai_kedro.hooks.mlflow_store import database_path, experiment_of, store_fault

logger = logging.getLogger(__name__)

#: The run parameter that goes to a card.
_PARAMETERS = ("seed",)


@dataclass(frozen=True)
class RecordedRun:
    """A run in MLflow: its tags, and the parameters that a card tells of."""

    id: str
    tags: Mapping[str, str]


def recorded_run(settings: Any, artifact: str, version: str) -> RecordedRun | None:
    """Return the run that saved a version of an artifact, None where MLflow has none or cannot be read.

    `settings` are those of mlflow.yml, as `Tracking` leaves them at the context.
    """
    from mlflow.tracking import MlflowClient  # noqa: PLC0415 - seconds

    uri, name = settings.server.mlflow_tracking_uri, settings.tracking.experiment.name
    path = database_path(uri)
    if (path is not None and not path.exists()) or (fault := store_fault(uri)):
        logger.warning("MLflow has no record of the run: %s", fault if path is None or path.exists() else f"no {path}")
        return None
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        return None
    saved = f"tags.`saved.{artifact}` = '{version}'"
    runs = client.search_runs([experiment.experiment_id], saved, max_results=1, order_by=["start_time DESC"])
    if not runs:
        return None
    parameters = {key: value for key, value in runs[0].data.params.items() if key in _PARAMETERS}
    return RecordedRun(runs[0].info.run_id, {**runs[0].data.tags, **parameters})


def register(
    settings: Any,
    project: Path,
    directory: Path,
    *,
    policy: str,
    alias: str,
    run_id: str | None,
    tags: Mapping[str, str],
) -> str:
    """Log a model directory as it is, register it as `<experiment>-<policy>` under an alias; return its address.

    `mlflow.artifacts.download_artifacts(address)` gives the directory back, once the tracking URI is set. The flavour
    of MLflow 3.17 for transformers cannot take a directory with transformers 5, and takes a pipeline apart. Raises what
    MLflow raises.
    """
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    client, experiment_id = experiment_of(settings, project)
    logged = client.create_logged_model(
        experiment_id, name=policy, source_run_id=run_id, tags=dict(tags), model_type="text-generation"
    )
    client.log_model_artifacts(logged.model_id, str(directory))
    client.finalize_logged_model(logged.model_id, "READY")
    name = f"{settings.tracking.experiment.name}-{policy}"
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.create_model_version(
        name, source=f"models:/{logged.model_id}", run_id=run_id, model_id=logged.model_id, tags=dict(tags)
    )
    client.set_registered_model_alias(name, alias, version.version)
    return f"models:/{name}@{alias}"
