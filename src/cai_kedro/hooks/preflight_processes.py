"""Whether the trainings of a run can share their batches over processes, told before the run."""

from collections.abc import Iterator

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from cai_kedro.hooks.parameters import flatten


def process_faults_of(pipeline: Pipeline, catalog: CatalogProtocol) -> Iterator[str]:
    """Tell what keeps `training.processes` from being done; nothing where every training runs in this process."""
    nodes = {node.name for node in pipeline.nodes if "params:training" in node.inputs}
    if not nodes or "parameters" not in catalog:
        return
    parameters = catalog.load("parameters")
    asked = flatten(parameters.get("training", {}))
    if (asked.get("processes"), asked.get("sharding")) == (1, "none"):
        return
    from cai_kedro.templates.processes import process_faults  # noqa: PLC0415 - with torch

    yield from process_faults(parameters, nodes)
