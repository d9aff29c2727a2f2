"""Whether the trainings of a run, and the models that it asks, fit their device, told before the run."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from cai_kedro.core.lineage import BASE_MODEL, Lineage
from cai_kedro.hooks.parameters import flatten


def memory_faults_of(pipeline: Pipeline, catalog: CatalogProtocol, project: Path) -> Iterator[str]:
    """Tell what of the run cannot fit. The micro LM fits everywhere; a GGUF file tells no sizes.

    What is wrong with the model's files is told by the other checks.
    """
    nodes = {node.name for node in pipeline.nodes if "training" in node.tags}
    engines = {name for node in pipeline.nodes for name in node.inputs if name.endswith(".model@engine")}
    if not (nodes or engines) or "parameters" not in catalog:
        return
    parameters = catalog.load("parameters")
    given = flatten(parameters.get("base_model", {}))
    if given.get("source") not in ("path", "hub"):
        return
    lineage = Lineage.model_validate(parameters["lineage"])
    as_large = {lineage.model_of(name) for name, of in lineage.present.items() if of.given in (None, BASE_MODEL)}
    asked = [catalog.get(name) for name in sorted(engines) if name.removesuffix("@engine") in as_large]
    yield from _faults(parameters, given, nodes, asked, project)


def _faults(
    parameters: Mapping[str, Any], given: Mapping[str, Any], nodes: set[str], asked: list[Any], project: Path
) -> Iterator[str]:
    from cai_kedro.engines.machine import memory_of  # noqa: PLC0415 - with torch and transformers
    from cai_kedro.engines.model_reference import ModelReference  # noqa: PLC0415
    from cai_kedro.engines.model_shape import shape_of  # noqa: PLC0415
    from cai_kedro.templates.memory import engine_fault, memory_faults, vllm_fault  # noqa: PLC0415

    fields = ("path",) if given["source"] == "path" else ("repo", "revision")
    try:
        reference = ModelReference(**{name: given.get(name) for name in fields}).at(project)
        shape = shape_of(reference.config())
    except ValueError:  # pydantic's are, too
        return
    yield from memory_faults(parameters, shape, memory_of, nodes)
    engines = [dataset._describe().get("engine", {}) for dataset in asked]
    local = {(each["device"], each["dtype"]) for each in engines if each.get("kind") == "transformers"}
    for device, dtype in sorted(local):
        if fault := engine_fault(shape, device, dtype, memory_of(device)):
            yield fault
    vllm = [vllm_fault(each, shape, memory_of("cuda")) for each in engines if each.get("kind") == "vllm"]
    yield from sorted({fault for fault in vllm if fault})
