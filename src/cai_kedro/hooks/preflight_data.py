"""What can be checked before a run about worked examples and about versions that were asked for."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kedro.io import AbstractVersionedDataset, CatalogProtocol
from kedro.pipeline import Pipeline
from pydantic import BaseModel

from cai_kedro.core.constitution import Constitution
from cai_kedro.core.worked_examples import ExamplesOf
from cai_kedro.hooks.run_names import is_parameter

_NEWEST = 5
_RED_TEAM = "params:data_generation.red_team"
_RULES = "params:self_align.self_alignment"


def example_faults(pipeline: Pipeline, catalog: CatalogProtocol) -> Iterator[str]:
    """Tell where prompts are to be generated after examples, and there is none.

    What cannot be loaded is told elsewhere.
    """
    constitution = _loaded("constitution", pipeline, catalog)
    given = _loaded("given_red_team_prompts", pipeline, catalog)
    if isinstance(constitution, Constitution) and given is not None and _RED_TEAM in _parameters(pipeline, catalog):
        from cai_kedro.pipelines.data_generation.red_team import check_examples  # noqa: PLC0415 - imports engines

        try:
            check_examples(given, constitution, catalog.load(_RED_TEAM))
        except ValueError as error:
            yield str(error)


def rule_faults(pipeline: Pipeline, catalog: CatalogProtocol) -> Iterator[str]:
    """Tell where rules or worked examples are asked for that the rules of SELF-ALIGN do not have."""
    rules = _loaded("self_align_rules", pipeline, catalog)
    if rules is not None and _RULES in _parameters(pipeline, catalog):
        given = catalog.load(_RULES)
        params = given if isinstance(given, Mapping) else given.model_dump()
        try:
            rules.worked(params["examples"], rules.asked(params["rules"]))
        except ValueError as error:
            yield f"{_RULES.removeprefix('params:')}: {error}"


def example_warnings(pipeline: Pipeline, catalog: CatalogProtocol) -> Iterator[str]:
    """Tell where more worked examples are asked for than the constitution has, and how many will be shown."""
    constitution = _loaded("constitution", pipeline, catalog)
    if not isinstance(constitution, Constitution):
        return
    for name in sorted(_parameters(pipeline, catalog)):
        value = catalog.load(name)
        if isinstance(value, BaseModel):
            yield from few_shot_warnings(value, name.removeprefix("params:"), constitution)


def _parameters(pipeline: Pipeline, catalog: CatalogProtocol) -> set[str]:
    return {name for node in pipeline.nodes for name in node.inputs if is_parameter(name) and name in catalog}


def few_shot_warnings(params: BaseModel, path: str, constitution: Constitution) -> Iterator[str]:
    """Tell each parameter, at any depth, that asks for more worked examples than the constitution has of its kind."""
    for name, field in type(params).model_fields.items():
        value, place = getattr(params, name), f"{path}.{name}"
        if isinstance(value, BaseModel):
            yield from few_shot_warnings(value, place, constitution)
        for kind in (mark.kind for mark in field.metadata if isinstance(mark, ExamplesOf)):
            n = len(getattr(constitution.few_shots, kind))
            if value > n:
                yield f"{place} is {value}, but the constitution has {n} worked {kind}: the models are shown {n}"


def _loaded(name: str, pipeline: Pipeline, catalog: CatalogProtocol) -> Any:
    """Return an input of the run, None if it is none or cannot be read."""
    if name not in pipeline.inputs() or name not in catalog:
        return None
    try:
        return catalog.load(name)
    except Exception:  # the check of the inputs tells it
        return None


def version_faults(load_versions: Mapping[str, str] | None, catalog: CatalogProtocol) -> Iterator[str]:
    """Tell each version of `--load-versions` that is not there, with those that are."""
    for name, version in sorted((load_versions or {}).items()):
        dataset = catalog.get(name)
        if not isinstance(dataset, AbstractVersionedDataset):
            yield f"--load-versions names {name!r}, which has no versions; leave it out"
        elif not dataset.exists():
            folder = Path(str(dataset._filepath))
            there = sorted((file.parent.name for file in folder.glob(f"*/{folder.name}")), reverse=True)
            newest = ", ".join(there[:_NEWEST]) + (f" and {len(there) - _NEWEST} older ones" if there[_NEWEST:] else "")
            yield (
                f"--load-versions names {name}:{version}, which is not there; under {folder} "
                + (f"are {newest}" if there else "is no version yet: make it first")
            )
