"""Whether those who are to draw the replies of RL can do so, told before the run."""

from collections.abc import Iterator

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from cai_kedro.hooks.parameters import flatten


def sampler_faults_of(pipeline: Pipeline, catalog: CatalogProtocol) -> Iterator[str]:
    """Tell what keeps `rlhf.rl.….sampler` from being done; nothing where every policy draws its own."""
    if "parameters" not in catalog:
        return
    parameters = catalog.load("parameters")
    asked = {name: value for name, value in flatten(parameters).items() if ".sampler." in name}
    if not asked:
        return
    from cai_kedro.templates.samplers import sampler_faults  # noqa: PLC0415 - with torch

    yield from sampler_faults(parameters, {node.name for node in pipeline.nodes})
