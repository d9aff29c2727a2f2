"""What a chain need not make again: all that its seed's first setting made, but what depends on what differs."""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from cai_kedro.hooks.parameters import flatten
from cai_kedro.studies.conf_of_chain import ENV

_PARAMETERS = "params:"


class ChainView:
    """The graph of a chain with its parameters and its catalog, as `kedro run` would see them."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        """Raises what Kedro and the checks raise for a conf that is wrong."""
        with KedroSession.create(folder, env=ENV) as session:
            context = cast(KedroSession, session).load_context()
            self.folder = folder
            self.parameters: dict[str, Any] = flatten(context.config_loader["parameters"])
            self.entries: dict[str, Any] = context.config_loader["catalog"]
            self.catalog: CatalogProtocol = context.catalog
            self.graph: Pipeline = sum((pipelines[name] for name in names), start=Pipeline([]))


def copy_what_is_shared(chain: ChainView, beside: ChainView) -> bool:
    """Copy what the other chain made and this one would make alike; False, and nothing copied, if that is not known.

    It is known where both have the same stages and the difference enters the graph as parameters and data sets. Then
    whatever lies behind these is left out. Shards come along: they carry the digest of all that decides them.
    """
    changed = differing_inputs(chain, beside)
    if changed is None:
        return False
    anew = chain.graph.from_inputs(*changed).all_outputs() if changed else set()
    paths = {_place(chain.catalog, name) for name in anew}
    target = chain.folder / "data"
    made = target.with_name(".data.part")
    shutil.rmtree(made, ignore_errors=True)
    left_out = {beside.folder / path.relative_to(chain.folder) for path in paths if path is not None}
    shutil.copytree(
        beside.folder / "data",
        made,
        symlinks=True,
        ignore=lambda folder, names: [name for name in names if Path(folder) / name in left_out],
    )
    shutil.rmtree(target)
    made.rename(target)
    return True


def differing_inputs(chain: ChainView, beside: ChainView) -> set[str] | None:
    """Return the free inputs of the graph that differ; None where something differs that is no input of it."""
    if {str(node) for node in chain.graph.nodes} != {str(node) for node in beside.graph.nodes}:
        return None
    inputs = chain.graph.inputs()
    differing: set[str] = set()
    for path in _differing(chain.parameters, beside.parameters):
        taken = {name for name in inputs if name.startswith(_PARAMETERS) and _covers(name, path)}
        # a lineage of the same stages may still hold another parameter of an arm
        if not taken or path.startswith("lineage."):
            return None
        differing |= taken
    entries = _differing(chain.entries, beside.entries)
    return differing | entries if entries <= inputs else None


def _differing(here: Mapping[str, Any], there: Mapping[str, Any]) -> set[str]:
    absent = object()
    return {name for name in {*here, *there} if here.get(name, absent) != there.get(name, absent)}


def _covers(name: str, path: str) -> bool:
    block = name.removeprefix(_PARAMETERS)
    return path == block or path.startswith(f"{block}.") or block.startswith(f"{path}.")


def _place(catalog: CatalogProtocol, name: str) -> Path | None:
    place = getattr(catalog.get(name), "_filepath", None)
    return None if place is None else Path(place)
