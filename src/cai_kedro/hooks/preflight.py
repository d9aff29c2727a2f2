"""Checks everything that can be checked before the first node runs, and says all that is wrong at once."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from kedro.config import AbstractConfigLoader, MissingConfigException
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from cai_kedro.hooks import parameters as checks
from cai_kedro.hooks.conf_checks import dial_faults, environment_faults, file_faults, pipeline_faults
from cai_kedro.hooks.faults import raise_if_any
from cai_kedro.hooks.preflight_adapters import adapter_faults
from cai_kedro.hooks.preflight_checks import (
    constitution_warnings,
    disk_faults,
    input_faults,
    model_faults,
    server_faults,
    thread_faults,
)
from cai_kedro.hooks.preflight_data import example_faults, example_warnings, rule_faults, version_faults
from cai_kedro.hooks.preflight_memory import memory_faults_of
from cai_kedro.hooks.preflight_people import comparison_faults
from cai_kedro.hooks.preflight_processes import process_faults_of
from cai_kedro.hooks.preflight_referee import referee_faults
from cai_kedro.hooks.preflight_samplers import sampler_faults_of

logger = logging.getLogger(__name__)


class Preflight:
    """Raises one `PreflightError` for wrong parameters, missing or broken inputs, no model, no room on the disk."""

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Check conf and the parameters, before Kedro does with a long traceback."""
        if not _reads_parameters():
            return
        registered = dict(pipelines)
        requested = getattr(pipelines, "_requested_pipelines", None)
        loader = context.config_loader
        raise_if_any([*environment_faults(loader), *pipeline_faults(requested, registered)])
        raise_if_any(file_faults(loader))
        parameters, dials = loader["parameters"], _dials(loader)
        raise_if_any(dial_faults(dials))
        wanted = [registered[name] for name in requested or registered]
        faults = checks.faults(parameters, wanted, registered.values(), dials)
        raise_if_any([*faults, *thread_faults(parameters)])

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Check what the run reads and where it writes, before MLflow opens a run."""
        project = Path(run_params["project_path"])
        raise_if_any(
            [
                *disk_faults(project / "data"),
                *input_faults(pipeline, catalog, dict(pipelines)),
                *version_faults(run_params.get("load_versions"), catalog),
                *example_faults(pipeline, catalog),
                *rule_faults(pipeline, catalog),
                *_base_model_faults(pipeline, catalog, project),
                *memory_faults_of(pipeline, catalog, project),
                *process_faults_of(pipeline, catalog),
                *sampler_faults_of(pipeline, catalog),
                *server_faults(pipeline, catalog),
                *adapter_faults(pipeline, catalog, project),
                *referee_faults(pipeline, catalog),
                *comparison_faults(pipeline, catalog),
            ]
        )
        for warning in (*constitution_warnings(pipeline, catalog, project), *example_warnings(pipeline, catalog)):
            logger.warning("%s", warning)


def _dials(loader: AbstractConfigLoader) -> Mapping[str, Any]:
    try:
        return loader["globals"] or {}
    except MissingConfigException:
        return {}


def _reads_parameters() -> bool:
    """Commands such as `kedro mlflow ui` need no parameters; a notebook has no command."""
    command = click.get_current_context(silent=True)
    return command is None or command.info_name in ("run", "estimate", "check-labeller", "export", "chat")


def _base_model_faults(pipeline: Pipeline, catalog: CatalogProtocol, project: Path) -> list[str]:
    return [
        fault
        for name in sorted(pipeline.inputs())
        if name.startswith("params:base_model") and name in catalog
        for fault in model_faults(catalog.load(name), project)
    ]
