"""Whether the adapters that a run is to train can be trained on its models, and read by who asks them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol, DatasetError
from kedro.pipeline import Node, Pipeline

from cai_kedro.core.lineage import CLONING, ENGRAVING, Lineage
from cai_kedro.hooks.run_names import artifact

_PARAMS = "params:training"
#: Stages with a block `training` of their own.
_STAGES = {f"params:self_align.{algorithm}": algorithm for algorithm in (ENGRAVING, CLONING)}


def adapter_faults(pipeline: Pipeline, catalog: CatalogProtocol, project_path: Path) -> Iterator[str]:
    """Tell what keeps `training.adapter` from being done; nothing where no training of a run asks for an adapter."""
    for block in (_PARAMS, *_STAGES):
        given: Any = catalog.load(block) if block in pipeline.inputs() and block in catalog else None
        if given is not None:
            yield from _faults_of(block, _plain(given), pipeline, catalog, project_path)


def _faults_of(
    block: str, given: Any, pipeline: Pipeline, catalog: CatalogProtocol, project_path: Path
) -> Iterator[str]:
    """Tell the faults of one block of parameters; of a stage of SELF-ALIGN its training is looked at."""
    given = _plain(given["training"]) if block in _STAGES else given
    if given["adapter"] == "none":
        return
    from cai_kedro.learning.processes import SharedParams  # noqa: PLC0415 - torch
    from cai_kedro.models.adapters import AdapterParams  # noqa: PLC0415

    params = (AdapterParams if block in _STAGES else SharedParams).model_validate(given)
    where = block.removeprefix("params:")
    where = f"{where}.training" if block in _STAGES else where
    lineage = Lineage.model_validate(catalog.load("parameters")["lineage"])
    if block in _STAGES:
        models = {start} if (start := lineage.start_of_stage(_STAGES[block])) else set()
    else:
        models = {lineage.model_of(policy) for policy in (lineage.base, *lineage.starts.values())}
        yield from _algorithm_faults(lineage, pipeline)
    yield from _engine_faults(block, where, pipeline, catalog)
    skeletons = _skeletons(models, lineage, pipeline, catalog, project_path)
    yield from _target_faults(params, where, skeletons)


def _plain(given: Any) -> Any:
    return given if isinstance(given, dict) else given.model_dump()


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


def _engine_faults(block: str, where: str, pipeline: Pipeline, catalog: CatalogProtocol) -> Iterator[str]:
    """Tell once that models of the run are asked by an engine that cannot read an adapter."""
    trained = _made_by([node for node in pipeline.nodes if block in node.inputs])
    # what they make may be handed on: snapshots are, of which one is kept
    trained |= _made_by([node for node in pipeline.nodes if trained & set(map(artifact, node.inputs))])
    asked = sorted({name for node in pipeline.nodes for name in node.inputs if name.endswith("@engine")})
    unread = [
        name for name in asked if artifact(name) in trained and not getattr(catalog.get(name), "reads_adapters", True)
    ]
    if unread:
        yield (
            f"{where}.adapter makes {artifact(unread[0])!r} an adapter, which its engine does not read; set `engine` "
            f"in globals.yml to transformers, or {where}.adapter to none"
        )


def _made_by(nodes: Sequence[Node]) -> set[str]:
    return {artifact(name) for node in nodes for name in node.outputs if name.endswith("@checkpoint")}


def _skeletons(
    models: set[str], lineage: Lineage, pipeline: Pipeline, catalog: CatalogProtocol, project_path: Path
) -> Iterator[tuple[str, Any]]:
    """Yield each model that is given and trained from, without its weights."""
    for model in sorted(models):
        try:
            skeleton = _skeleton(model, lineage, pipeline, catalog, project_path)
        except (ValueError, OSError, DatasetError):  # other checks tell it
            continue
        if skeleton is not None:
            yield model, skeleton


def _target_faults(params: Any, where: str, skeletons: Iterator[tuple[str, Any]]) -> Iterator[str]:
    """Tell what is wrong with the targets, for each model, and what 4 bits lack."""
    from cai_kedro.models.adapters import qlora_faults, targets_of  # noqa: PLC0415

    faults = dict.fromkeys(qlora_faults(None, where)) if params.adapter == "qlora" else {}
    for model, skeleton in skeletons:
        try:
            targets_of(skeleton, params.lora, where)
            if params.adapter == "qlora" and not faults:
                for fault in qlora_faults(skeleton, where):
                    raise ValueError(fault)
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
        provide_untaught,
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
        given = provide_untaught(params, 0)
    else:
        return None
    if isinstance(given, GGUFFile):
        return given.at(project_path).skeleton()
    assert isinstance(given, ModelReference)
    place = given.at(project_path).on_this_machine()
    return None if place is None else skeleton(place)
