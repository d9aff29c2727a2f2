"""Whether the adapters that a run is to train can be trained on its models, and read by who asks them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol, DatasetError
from kedro.pipeline import Node, Pipeline

from cai_kedro.core.lineage import Lineage
from cai_kedro.hooks.run_names import artifact

_PARAMS = "params:training"


def adapter_faults(pipeline: Pipeline, catalog: CatalogProtocol, project_path: Path) -> Iterator[str]:
    """Tell what keeps `training.adapter` from being done; nothing where no training of a run asks for an adapter."""
    given: Any = catalog.load(_PARAMS) if _PARAMS in pipeline.inputs() and _PARAMS in catalog else None
    if given is None or (given["adapter"] if isinstance(given, dict) else given.adapter) == "none":
        return
    from cai_kedro.learning.processes import SharedParams  # noqa: PLC0415 - torch
    from cai_kedro.models.adapters import qlora_fault  # noqa: PLC0415

    params = SharedParams.model_validate(given)
    if params.adapter == "qlora":
        yield qlora_fault()
        return
    lineage = Lineage.model_validate(catalog.load("parameters")["lineage"])
    yield from _algorithm_faults(lineage, pipeline)
    yield from _engine_faults(pipeline, catalog)
    yield from _target_faults(params, lineage, pipeline, catalog, project_path)


def _algorithm_faults(lineage: Lineage, pipeline: Pipeline) -> Iterator[str]:
    from cai_kedro.learning.rl import algorithm_of  # noqa: PLC0415

    made = pipeline.all_outputs()
    for arm in lineage.arms:
        name = lineage.algorithm_of(arm)
        if f"{arm}.snapshots@checkpoint" in made and not algorithm_of(name).trains_adapters:
            yield (
                f"the policy {arm!r} learns by {name}, which trains no adapter; take ppo or dpo, or set "
                f"training.adapter to none"
            )


def _engine_faults(pipeline: Pipeline, catalog: CatalogProtocol) -> Iterator[str]:
    """Tell once that models of the run are asked by an engine that cannot read an adapter."""
    trained = _made_by([node for node in pipeline.nodes if _PARAMS in node.inputs])
    # what they make may be handed on: snapshots are, of which one is kept
    trained |= _made_by([node for node in pipeline.nodes if trained & set(map(artifact, node.inputs))])
    asked = sorted({name for node in pipeline.nodes for name in node.inputs if name.endswith("@engine")})
    unread = [
        name for name in asked if artifact(name) in trained and not getattr(catalog.get(name), "reads_adapters", True)
    ]
    if unread:
        yield (
            f"training.adapter makes {artifact(unread[0])!r} an adapter, which its engine does not read; set `engine` "
            f"in globals.yml to transformers, or training.adapter to none"
        )


def _made_by(nodes: Sequence[Node]) -> set[str]:
    return {artifact(name) for node in nodes for name in node.outputs if name.endswith("@checkpoint")}


def _target_faults(
    params: Any, lineage: Lineage, pipeline: Pipeline, catalog: CatalogProtocol, project_path: Path
) -> Iterator[str]:
    """Tell what is wrong with the targets, for each model that is given and trained from."""
    from cai_kedro.models.adapters import targets_of  # noqa: PLC0415

    faults: dict[str, None] = {}
    for model in sorted({lineage.model_of(policy) for policy in (lineage.base, *lineage.starts.values())}):
        try:
            skeleton = _skeleton(model, lineage, pipeline, catalog, project_path)
        except (ValueError, OSError, DatasetError):  # other checks tell it
            continue
        try:
            if skeleton is not None:
                targets_of(skeleton, params.lora)
        except ValueError as fault:
            faults[f"{model.removesuffix('.model')}: {fault}"] = None
    yield from faults


def _skeleton(model: str, lineage: Lineage, pipeline: Pipeline, catalog: CatalogProtocol, project_path: Path) -> Any:
    """Return a given model without its weights, None for one that is trained or has to be fetched first."""
    from cai_kedro.engines.adapter_files import is_adapter  # noqa: PLC0415
    from cai_kedro.engines.gguf_file import GGUFFile  # noqa: PLC0415
    from cai_kedro.engines.model_files import skeleton  # noqa: PLC0415
    from cai_kedro.engines.model_reference import ModelReference, reference_to  # noqa: PLC0415
    from cai_kedro.microworld.shipped import shipped_directory  # noqa: PLC0415
    from cai_kedro.pipelines.base_model.nodes import (  # noqa: PLC0415
        BaseModelParams,
        provide_given,
        provide_pretrained,
    )

    name = f"{model}@checkpoint"
    if name not in pipeline.all_outputs():
        dataset: Any = catalog.get(name)
        if dataset is None or not dataset.exists():
            return None
        place = reference_to(Path(dataset._get_load_path())).on_this_machine()
        return None if place is None or is_adapter(place) else skeleton(place)
    if model in lineage.given_models:
        given: Any = provide_given(lineage.given_models[model], lineage.given_layouts[model])
    elif model == lineage.model_of(lineage.base):
        params = BaseModelParams.model_validate(catalog.load("params:base_model"))
        if params.source == "micro":  # a model like the one of the package
            return skeleton(shipped_directory())
        given = provide_pretrained(params, 0)[0]
    else:
        return None
    if isinstance(given, GGUFFile):
        return given.at(project_path).skeleton()
    assert isinstance(given, ModelReference)
    place = given.at(project_path).on_this_machine()
    return None if place is None else skeleton(place)
