"""A database of runs in a temporary folder (making one takes seconds), and a project run without a project."""

import uuid
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kedro.framework.hooks.manager import _create_hook_manager, _register_hooks
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner

from cai_kedro.hooks.mlflow_store import open_experiment
from cai_kedro.hooks.tracking import Tracking


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mlflow")
    open_experiment(f"sqlite:///{folder}/mlflow.db", "first", folder / "mlruns")
    return folder


@pytest.fixture
def experiment(store: Path) -> tuple[Any, str, str]:
    """Client, experiment id and experiment name: a new experiment per test."""
    name = uuid.uuid4().hex
    return *open_experiment(f"sqlite:///{store}/mlflow.db", name, store / "mlruns"), name


@pytest.fixture
def tracking(store: Path, experiment: tuple[Any, str, str]) -> Tracking:
    conf = {
        "server": {"mlflow_tracking_uri": "sqlite:///mlflow.db"},
        "tracking": {
            "disable_tracking": {"pipelines": ["untracked"]},
            "experiment": {"name": experiment[2], "create_experiment_kwargs": {"artifact_location": "mlruns"}},
        },
        "ui": {"host": "127.0.0.1", "port": "5000"},
    }
    hook = Tracking()
    hook.after_context_created(SimpleNamespace(config_loader={"mlflow": conf}, project_path=store))
    return hook


@pytest.fixture
def run_with(store: Path) -> Callable[..., None]:
    """Run a pipeline with hooks, as a Kedro session does."""

    def run(hooks: list[object], pipeline: Pipeline, catalog: DataCatalog, **run_params: Any) -> None:
        manager = _create_hook_manager()
        _register_hooks(manager, hooks)
        given = {"project_path": str(store), "run_id": "2026-01-02T03.04.05.678Z", **run_params}
        manager.hook.before_pipeline_run(run_params=given, pipeline=pipeline, catalog=catalog)
        try:
            result = SequentialRunner().run(pipeline, catalog, manager)
        except Exception as error:
            manager.hook.on_pipeline_error(error=error, run_params=given, pipeline=pipeline, catalog=catalog)
            raise
        manager.hook.after_pipeline_run(run_params=given, run_result=result, pipeline=pipeline, catalog=catalog)

    return run
