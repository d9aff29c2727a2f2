"""Whether judge or referee is a model that the policies learn from: its verdict on them would be no evidence."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol, DatasetError
from kedro.pipeline import Pipeline

from cai_kedro.core.axes import REFEREE, Axes
from cai_kedro.core.exam import Exam, referee_called
from cai_kedro.core.judging import KnownModel
from cai_kedro.core.lineage import Lineage

#: A model on a server by address and name, any other one by the digest of its weights.
Identity = tuple[str, ...]


def raters_faults(axes: Axes, catalog: Mapping[str, Any], nobody: Collection[str]) -> Iterator[str]:
    """Tell which axes name an entry of the catalog that cannot decide head-to-heads; `nobody` are the null entries."""
    known = [name for name, entry in catalog.items() if str(entry.get("type")).endswith("RefereeDataset")]
    for entry, (axis, *_) in axes.deciders.items():
        if entry in (*known, *nobody) or (entry == REFEREE and entry not in catalog):
            continue
        near = difflib.get_close_matches(entry, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known) or 'none'}."
        yield (
            f"parameter 'axes.{axis}.raters' names {entry!r}, which is no entry of the catalog of type RefereeDataset; "
            f"{hint} Add the entry or correct the name (docs/guides/judging.md)"
        )


def decider_faults(
    lineage: Lineage, exam: Exam, pipeline: Pipeline, catalog: CatalogProtocol, project_path: Path
) -> Iterator[str]:
    """Tell where a decider is a model that labels, thinks, criticises or answers in the training.

    What is not on this machine yet, and what the run itself will train, is known to nobody before the run.
    """
    for decider in ("judge", *exam.deciders):
        identity = _of_decider(decider, catalog) if decider in pipeline.inputs() else None
        if identity is None or (decider != "judge" and _is_insisted_on(catalog)):
            continue
        called, instead = ("the judge", _RULES) if decider == "judge" else (referee_called(decider), _INSIST)
        for name, teacher in _teachers(lineage, pipeline, catalog, project_path):
            if teacher == identity:
                yield (
                    f"{called} is the model {name!r}, which labels, thinks, criticises or answers in the "
                    f"training: its verdict on what it trained is no evidence. Name another model under `{decider}` in "
                    f"the catalog, or {instead}"
                )
                break


_RULES = "take `kind: rules` (docs/guides/judging.md)"
_INSIST = "set the parameter evaluation.elo.allow_training_judge=true, which marks the ratings"


def _of_decider(name: str, catalog: CatalogProtocol) -> Identity | None:
    """Return what a decider is known by, None for one that is no language model or cannot be read."""
    # only objects that the catalog builds have kinds, and they are quick to build
    if not hasattr(catalog.get(name), "KINDS"):
        return None
    try:
        reader: Any = catalog.load(name)
        if not isinstance(reader, KnownModel):
            return None
        digest = reader.digest()
        return reader.server if digest is None else (digest,)
    except (DatasetError, ValueError, OSError):  # the check of the inputs tells it
        return None


def _is_insisted_on(catalog: CatalogProtocol) -> bool:
    params: Any = catalog.load("params:evaluation")
    elo = params["elo"] if isinstance(params, dict) else params.elo
    return bool(elo["allow_training_judge"] if isinstance(elo, dict) else elo.allow_training_judge)


def _teachers(
    lineage: Lineage, pipeline: Pipeline, catalog: CatalogProtocol, project_path: Path
) -> Iterator[tuple[str, Identity]]:
    """Give whom the policies learn from, as far as that is known before the run: name, what it is known by."""
    for role, entry in lineage.catalog_roles.items():
        server = getattr(catalog.get(entry), "server", None)
        if server is not None:
            yield role, server
    made = pipeline.all_outputs()
    for name, model in lineage.teachers.items():
        try:
            if f"{model}@checkpoint" in made:
                digest = _digest_elsewhere(lineage, model, catalog, project_path)
            else:
                digest = catalog.load(f"{model}@digest") if catalog.exists(f"{model}@digest") else None
        except (DatasetError, ValueError, OSError):  # other checks tell it
            continue
        if digest is not None:
            yield name, (digest,)


def _digest_elsewhere(lineage: Lineage, model: str, catalog: CatalogProtocol, project_path: Path) -> str | None:
    """Return the digest of a model that lies elsewhere, None for one that the run trains or has to fetch first."""
    from cai_kedro.engines.model_reference import ModelReference, model_digest  # noqa: PLC0415 - transformers
    from cai_kedro.pipelines.base_model.nodes import (  # noqa: PLC0415
        BaseModelParams,
        provide_given,
        provide_pretrained,
    )

    given: Any = None
    if model in lineage.given_models:
        given = provide_given(lineage.given_models[model], lineage.given_layouts[model])
    elif model == lineage.model_of(lineage.base):
        params = BaseModelParams.model_validate(catalog.load("params:base_model"))
        given = None if params.source == "micro" else provide_pretrained(params, 0)[0]
    if not isinstance(given, ModelReference):
        return None
    place = given.at(project_path).on_this_machine()
    return None if place is None else model_digest(place)
