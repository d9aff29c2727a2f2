"""What a plan needs of a Kedro project: material and engines, whether or not anything was run in it."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kedro.io import DataCatalog
from kedro.utils import find_kedro_project

from cai_kedro.core.axes import Axes
from cai_kedro.core.layouts.base import Layout
from cai_kedro.core.layouts.hh import HH
from cai_kedro.core.lineage import Lineage
from cai_kedro.engines.adapted_model import AdaptedModel
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.gguf_file import GGUFFile
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.loading import LocalSettings
from cai_kedro.engines.model_files import load_tokenizer
from cai_kedro.engines.model_reference import ModelReference
from cai_kedro.pipelines.base_model.nodes import BaseModelParams, provide_given, provide_pretrained
from cai_kedro.planning.inputs import Material

logger = logging.getLogger(__name__)


def material_of(catalog: DataCatalog) -> Material:
    """Read what people give; raises `DatasetError` for what is not there or cannot be read."""
    axes = Axes.model_validate(catalog.load("params:axes"))
    return Material(
        red_team=catalog.load("given_red_team_prompts"),
        helpful=catalog.load("given_helpful_prompts"),
        axes=axes,
        held_out={table: catalog.load(table) for table in axes.tables},
        constitution=catalog.load("constitution"),
    )


@dataclass(frozen=True)
class Models:
    """The engines by who asks them, which of them are stand-ins, and how to get a fresh pretrained model."""

    engines: Mapping[str, TextEngine]
    stand_ins: tuple[str, ...]
    load: Callable[[], LanguageModel]


def asked_by(lineage: Lineage) -> dict[str, str]:
    """Return who asks an engine in a trial → its data set: each role, and the pretrained and the revised policy."""
    roles = {role: lineage.engine_of(role) for role in lineage.roles.engines}
    base, revised = (f"{lineage.model_of(policy)}@engine" for policy in (lineage.base, lineage.revised or lineage.base))
    return {"base": base, **roles, "revised": revised}


def engines_of(catalog: DataCatalog, lineage: Lineage) -> list[dict[str, Any]]:
    """Return the settings of those whom a trial asks, each once."""
    found: list[dict[str, Any]] = []
    for name in asked_by(lineage).values():
        settings = dict(catalog.config_resolver.resolve_pattern(name)["engine"])
        found += [] if settings in found else [settings]
    return found


def models_of(catalog: DataCatalog, parameters: Mapping[str, Any], lineage: Lineage) -> Models:
    """Load the engines as the catalog configures them; the pretrained one stands in for a model not made yet.

    A model that the lineage names by directory, file or hub is read from there, whether or not a run provided it.
    Raises `ValueError` if there is no pretrained model or no such model, or if its files are not complete.
    """
    asked = asked_by(lineage)
    load = _pretrained(catalog, parameters, asked["base"].replace("@engine", "@checkpoint"))
    own = _engine(catalog, asked["base"], load)
    loaded: dict[str, TextEngine] = {asked["base"]: own}
    stand_ins = []
    for engine in asked.values():
        if engine not in loaded:
            model = engine.removesuffix("@engine")
            if model in lineage.given_models:
                loaded[engine] = _engine(catalog, engine, _given(lineage, model))
                continue
            made = catalog.exists(engine) or "@" not in engine  # a server's entry has no file
            loaded[engine] = catalog.load(engine) if made else own
            stand_ins += [] if made else [model]
    return Models({who: loaded[engine] for who, engine in asked.items()}, tuple(stand_ins), load)


def untaught_of(
    catalog: DataCatalog, parameters: Mapping[str, Any], lineage: Lineage
) -> tuple[TextEngine, Callable[[], LanguageModel]]:
    """Return the engine of the model that is taught skills, as the catalog configures it, and how to get a fresh one.

    It is the pretrained one without an adapter. Raises `ValueError` as `models_of` does.
    """
    params = BaseModelParams.model_validate(parameters["base_model"]).model_copy(update={"adapter": None})
    load = _pretrained(catalog, {**parameters, "base_model": params}, f"{lineage.model_of(lineage.base)}@checkpoint")
    return _engine(catalog, "untaught.model@engine", load), load


def _pretrained(catalog: DataCatalog, parameters: Mapping[str, Any], checkpoint: str) -> Callable[[], LanguageModel]:
    params = BaseModelParams.model_validate(parameters["base_model"])
    if params.source != "micro":
        given, _ = provide_pretrained(params, parameters["seed"])
        assert not isinstance(given, LanguageModel)
        return _reader(given)
    if not catalog.exists(checkpoint):
        raise ValueError(
            "base_model.source is `micro`, and no such model was trained yet; make it first with "
            "`kedro run --pipelines=base_model`, with the same --env"
        )
    return lambda: catalog.load(checkpoint)


def _given(lineage: Lineage, model: str) -> Callable[[], LanguageModel]:
    try:
        return _reader(provide_given(lineage.given_models[model], lineage.given_layouts[model]))
    except ValueError as error:
        raise ValueError(f"{model.removesuffix('.model')}: {error}") from error


def layout_to_show(parameters: Mapping[str, Any]) -> Layout:
    """Return the layout of a pretrained model that lies in a directory of this machine, else that of base models."""
    params = BaseModelParams.model_validate(parameters["base_model"])
    if params.source != "path":
        return HH
    reference = ModelReference(path=params.path, layout=params.layout).at(find_kedro_project(Path.cwd()) or Path.cwd())
    try:
        return load_tokenizer(reference.locate(), reference.layout)[1]
    except ValueError as error:
        logger.warning("prompts are shown in the layout of base models: %s", error)
        return HH


def _reader(given: ModelReference | GGUFFile | AdaptedModel) -> Callable[[], LanguageModel]:
    given = given.at(find_kedro_project(Path.cwd()) or Path.cwd())
    if not isinstance(given, ModelReference):
        given.check()
        return given.load
    given.directory()
    return given.load


def _engine(catalog: DataCatalog, name: str, load: Callable[[], LanguageModel]) -> TextEngine:
    engine = catalog.config_resolver.resolve_pattern(name)["engine"]
    if engine["kind"] != "transformers":
        return catalog.load(name)
    return LocalSettings(**{field: engine[field] for field in LocalSettings.model_fields}).engine_on(load())
