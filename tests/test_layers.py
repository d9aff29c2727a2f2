"""The graph of kedro-viz: every dataset has a layer, and the layers follow one another as the stages of the method."""

from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io.core import is_parameter
from kedro.pipeline import Pipeline

PROJECT = Path(__file__).parents[1]
STAGES = [
    "raw",
    "pretrained",
    "baselines",
    "helpful_rlhf",
    "data_generation",
    "sl_cai",
    "preference_labeling",
    "rl_cai",
    "evaluation",
    "reporting",
]
#: Beside another arm, not after it.
BESIDE = {"hh_rlhf", "rl_cai_cot"}


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    bootstrap_project(PROJECT)
    KedroSession.create(PROJECT, env="base").load_context()  # the pipelines are those of the last context
    return pipelines["__default__"]


@pytest.fixture(scope="module")
def layers(pipeline: Pipeline) -> dict[str, str]:
    catalog = KedroSession.create(PROJECT, env="base").load_context().catalog
    names = [name for name in pipeline.datasets() if not is_parameter(name)]
    return {name: catalog[name].metadata["kedro-viz"]["layer"] for name in names}


def test_the_layers_are_the_stages_of_the_method(layers: dict[str, str]) -> None:
    assert set(layers.values()) == {*STAGES, *BESIDE}


def test_layers_do_not_go_in_circles(pipeline: Pipeline, layers: dict[str, str]) -> None:
    before: dict[str, set[str]] = {layer: set() for layer in layers.values()}
    for node in pipeline.nodes:
        for target in node.outputs:
            before[layers[target]] |= {layers[source] for source in node.inputs if source in layers} - {layers[target]}
    list(TopologicalSorter(before).static_order())  # raises CycleError
    for place, stage in enumerate(STAGES):  # layers that do not depend on each other may stand in either order
        assert before[stage] <= {*STAGES[:place], *BESIDE}, stage


def test_the_layers_of_all_pipelines_together_do_not_go_in_circles(pipeline: Pipeline) -> None:
    """kedro-viz shows also what runs on request; one circle there, and it shows no layers at all."""
    catalog = KedroSession.create(PROJECT, env="base").load_context().catalog
    before: dict[str, set[str]] = {}

    def layer(name: str, otherwise: str) -> str:
        return catalog[name].metadata["kedro-viz"]["layer"] if name in catalog else otherwise

    for node in {node.name: node for each in pipelines.values() for node in each.nodes}.values():
        # what stays in memory has no entry: it stands where its node does
        own = node.namespace or node.name
        sources = {layer(name, own) for name in node.inputs if not is_parameter(name)}
        for target in node.outputs:
            before.setdefault(layer(target, own), set()).update(sources - {layer(target, own)})
    assert {"ablations", "evaluation"} <= set(before)
    list(TopologicalSorter(before).static_order())  # raises CycleError


def test_every_stage_is_one_box(pipeline: Pipeline) -> None:
    boxes = {node.namespace for node in pipeline.nodes}
    assert boxes == {"base_model", *STAGES[2:], *BESIDE}
