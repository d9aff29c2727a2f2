"""Whether the trainings of a run fit their device, told before the run."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from cai_kedro.hooks.parameters import flatten


def memory_faults_of(pipeline: Pipeline, catalog: CatalogProtocol, project: Path) -> Iterator[str]:
    """Tell each training of the run that cannot fit. The micro LM fits everywhere; a GGUF file tells no sizes.

    What is wrong with the model's files is told by the other checks.
    """
    nodes = {node.name for node in pipeline.nodes if "training" in node.tags}
    if not nodes or "parameters" not in catalog:
        return
    parameters = catalog.load("parameters")
    given = flatten(parameters.get("base_model", {}))
    if given.get("source") not in ("path", "hub"):
        return
    yield from _faults(parameters, given, nodes, project)


def _faults(parameters: Mapping[str, Any], given: Mapping[str, Any], nodes: set[str], project: Path) -> Iterator[str]:
    from cai_kedro.engines.machine import memory_of  # noqa: PLC0415 - with torch and transformers
    from cai_kedro.engines.model_reference import ModelReference  # noqa: PLC0415
    from cai_kedro.engines.model_shape import shape_of  # noqa: PLC0415
    from cai_kedro.templates.memory import memory_faults  # noqa: PLC0415

    fields = ("path",) if given["source"] == "path" else ("repo", "revision")
    try:
        reference = ModelReference(**{name: given.get(name) for name in fields}).at(project)
        shape = shape_of(reference.config())
    except ValueError:  # pydantic's are, too
        return
    yield from memory_faults(parameters, shape, memory_of, nodes)
