"""Hands the lineage of a context to the pipeline registry, which Kedro calls without conf."""

import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from kedro.config import AbstractConfigLoader
from kedro.framework import project
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines, settings
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.utils import find_kedro_project
from pydantic import ValidationError

from cai_kedro.core.axes import Axes
from cai_kedro.core.comparison_sources import LABELLED_HELPFULNESS
from cai_kedro.core.constitution import NO_HELPFULNESS
from cai_kedro.core.exam import Exam, is_there
from cai_kedro.core.layouts.base import LayoutChoice
from cai_kedro.core.lineage import Lineage
from cai_kedro.core.lineage_checks import check_entries_of_catalog
from cai_kedro.hooks.config_loader import ConfigLoader
from cai_kedro.hooks.faults import raise_if_any
from cai_kedro.hooks.parameters import type_faults
from cai_kedro.hooks.preflight_deciders import decider_faults, raters_faults

logger = logging.getLogger(__name__)


class Graph:
    """Keeps the lineage of the context that was made last, and has Kedro build the pipelines anew when it changes.

    Kedro's `pipelines` are one object for the whole process, so the graph is that of the last context. A session makes
    a context of its own before it runs, and therefore runs the graph of its own conf.
    """

    def __init__(self) -> None:
        self._known: tuple[Lineage, Exam] | None = None

    @property
    def lineage(self) -> Lineage:
        """That of the last context; before there is one, that of conf/base and KEDRO_ENV in the current project."""
        return self._now[0]

    @property
    def exam(self) -> Exam:
        """The axes and deciders of the same conf."""
        return self._now[1]

    @property
    def _now(self) -> tuple[Lineage, Exam]:
        if self._known is None:
            self._known = _known_of(_loader_of_the_project())
        return self._known

    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Take lineage and exam of conf, environment and `--params`; raises `PreflightError` for one that is wrong.

        A conf that cannot be read leaves everything as it is: `Preflight` and Kedro say what is wrong with it.
        """
        try:
            context.config_loader["parameters"]
            context.config_loader["catalog"]
        except Exception:  # OmegaConf and Kedro raise what they like
            return
        known = _known_of(context.config_loader)
        if known != self._known:
            self._known = known
            _forget_pipelines()

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Check what the lineage promises: given models are there, and the constitution says what helpfulness is."""
        made = pipeline.all_outputs()
        given = {model: place for model, place in self.lineage.given_models.items() if f"{model}@checkpoint" in made}
        project_path = Path(run_params["project_path"])
        faults = [*_given_faults(given, self.lineage.given_layouts, project_path)]
        faults += [] if faults else decider_faults(self.lineage, self.exam, pipeline, catalog, project_path)
        if LABELLED_HELPFULNESS in made and "constitution" in pipeline.inputs():
            constitution = catalog.load("constitution")
            faults += [] if constitution.helpfulness_principles else [NO_HELPFULNESS]
        raise_if_any(faults)
        for policy, reason in self.lineage.left_out.items():
            logger.warning("the policy %r is left out: %s", policy, reason)


def _given_faults(given: Mapping[str, str], layouts: Mapping[str, LayoutChoice], project_path: Path) -> Iterator[str]:
    """Tell which given models are not there or not whole; of the hub, all but the weights is fetched."""
    from cai_kedro.pipelines.base_model.nodes import provide_given  # noqa: PLC0415 - imports torch

    for model, place in given.items():
        try:
            provide_given(place, layouts[model]).at(project_path).check()
        except ValueError as error:
            yield f"the model {model!r}, which the lineage gives as {place!r}: {error}"


def _forget_pipelines() -> None:
    """Have Kedro call the registry again; what a run asked for stays asked for."""
    package = cast("str | None", project.PACKAGE_NAME)  # None before Kedro has configured a project
    if package is None:
        return
    requested = pipelines._requested_pipelines
    pipelines.configure(f"{package}.pipeline_registry")
    pipelines.set_requested(requested)


def _loader_of_the_project() -> AbstractConfigLoader:
    folder = find_kedro_project(Path.cwd())
    if folder is None:
        raise RuntimeError(
            f"there is no Kedro project in {Path.cwd()} or above it, so nothing says which policies the pipelines are "
            f"for; change into the project's folder, or make a session first"
        )
    conf = str(Path(folder) / settings.CONF_SOURCE)
    return settings.CONFIG_LOADER_CLASS(conf, env=os.getenv("KEDRO_ENV"), **settings.CONFIG_LOADER_ARGS)


def _known_of(loader: AbstractConfigLoader) -> tuple[Lineage, Exam]:
    lineage = _lineage_of(loader)
    return lineage, _exam_of(loader, lineage)


def _exam_of(loader: AbstractConfigLoader, lineage: Lineage) -> Exam:
    """Read the axes, and whether the deciders that the catalog names are there."""
    parameters = loader["parameters"]
    if "axes" not in parameters:
        raise_if_any(["the parameter 'axes' is missing; put conf/base/axes.yml back"])
    raise_if_any(type_faults("axes", parameters["axes"], Axes))
    axes, catalog = Axes.model_validate(parameters["axes"]), loader["catalog"]
    is_whole = catalog.keys() >= axes.deciders.keys()
    nobody = loader.null_entries() if isinstance(loader, ConfigLoader) and not is_whole else ()
    raise_if_any(raters_faults(axes, catalog, nobody))
    return Exam(
        axes=axes,
        judge=is_there(catalog, "judge"),
        referees=frozenset(entry for entry in axes.deciders if is_there(catalog, entry)),
        raters=is_there(catalog, "human_raters"),
    )


def _lineage_of(loader: AbstractConfigLoader) -> Lineage:
    parameters = loader["parameters"]
    if "lineage" not in parameters:
        raise_if_any(["the parameter 'lineage' is missing; put conf/base/parameters_lineage.yml back"])
    raise_if_any(lineage_faults(parameters["lineage"]))
    lineage = Lineage.model_validate(parameters["lineage"])
    raise_if_any(_catalog_faults(lineage, loader["catalog"]))
    return lineage


def lineage_faults(block: Mapping[str, Any]) -> Iterator[str]:
    """Tell what is wrong with the block `lineage` of the parameters, what its arms name included."""
    from cai_kedro.learning.rl import algorithm_of  # noqa: PLC0415 - imports torch
    from cai_kedro.templates.rlhf.parameters import ArmParams  # noqa: PLC0415

    faults = list(type_faults("lineage", block, Lineage))
    yield from faults
    if faults:
        return
    lineage = Lineage.model_validate(block)
    try:
        algorithm_of(lineage.algorithm)
    except ValueError as error:
        yield f"parameter 'lineage.algorithm': {error}"
        return
    for name in lineage.named:
        try:
            ArmParams.of(name, lineage)
        except ValidationError as error:
            for fault in error.errors():
                told = fault.get("ctx", {}).get("error", fault["msg"])
                yield f"parameter 'lineage.policies.{name}.{fault['loc'][0]}': {told}"


def _catalog_faults(lineage: Lineage, catalog: Mapping[str, Any]) -> Iterator[str]:
    entries = [name for name in catalog if not name.startswith("_") and "{" not in name]
    try:
        check_entries_of_catalog(lineage.catalog_roles, lineage.named, entries)
    except ValueError as error:
        yield f"parameter 'lineage.roles': {error}"
