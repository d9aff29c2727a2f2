"""What a chain need not make again: all that another chain of its seed made, but what depends on what differs."""

import re
import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, cast

from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from cai_kedro.hooks.parameters import flatten
from cai_kedro.studies.conf_of_chain import ENV

_PARAMETERS = "params:"
_OF_POLICY = re.compile(r"lineage\.policies\.(?P<name>\w+)(?P<differences>\.differences(\.|$))?")
_COMPARING = ("evaluation", "reporting", "ablations")


class ChainView:
    """The graph of a chain with its parameters and its catalog, as `kedro run` would see them."""

    def __init__(self, folder: Path, names: Iterable[str], ends: Collection[str] = ()) -> None:
        """`ends` are the datasets that it ends with, none for all.

        Raises what Kedro and the checks raise for a conf that is wrong.
        """
        with KedroSession.create(folder, env=ENV) as session:
            context = cast(KedroSession, session).load_context()
            self.folder = folder
            self.parameters: dict[str, Any] = flatten(context.config_loader["parameters"])
            self.entries: dict[str, Any] = context.config_loader["catalog"]
            self.catalog: CatalogProtocol = context.catalog
            whole = sum((pipelines[name] for name in names), start=Pipeline([]))
            self.graph: Pipeline = whole.to_outputs(*ends) if ends else whole


def copy_what_is_shared(chain: ChainView, beside: ChainView) -> bool:
    """Copy what the other chain made and this one would make alike; False, and nothing copied, if that is not known.

    It is known where the difference enters the graph as parameters and data sets, or as policies of the lineage. Then
    whatever lies behind these is left out. Shards come along: they carry the digest of all that decides them.
    """
    changed = differing_parts(chain, beside)
    if changed is None:
        return False
    inputs, nodes = changed
    anew = chain.graph.from_inputs(*inputs).all_outputs() if inputs else set()
    anew |= chain.graph.from_nodes(*nodes).all_outputs() if nodes else set()
    kept = chain.graph.all_outputs() - anew
    left_out = {_place(beside.catalog, name) for name in beside.graph.all_outputs() - kept}
    target = chain.folder / "data"
    made = target.with_name(".data.part")
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(
        beside.folder / "data",
        made,
        symlinks=True,
        ignore=lambda folder, names: [name for name in names if Path(folder) / name in left_out],
    )
    shutil.rmtree(target)
    made.rename(target)
    return True


def differing_parts(chain: ChainView, beside: ChainView) -> tuple[set[str], set[str]] | None:
    """Return the free inputs of the graph and the nodes that differ; None where something else differs."""
    inputs = chain.graph.inputs()
    differing: set[str] = set()
    arms: set[str] = set()  # of other differences
    policies: set[str] = set()  # that are other ones
    for path in _differing(chain.parameters, beside.parameters):
        if (policy := _OF_POLICY.match(path)) is not None:
            (arms if policy["differences"] else policies).add(policy["name"])
            continue
        taken = {name for name in inputs if name.startswith(_PARAMETERS) and _covers(name, path)}
        if not taken:
            return None
        differing |= taken
    there = {str(node) for node in beside.graph.nodes}
    stages = {node.name for node in chain.graph.nodes if str(node) not in there}
    used = chain.graph.datasets() | beside.graph.datasets()
    entries = {name for name in _differing(chain.entries, beside.entries) if name in used or "{" in name}
    if not entries <= inputs:
        return None
    # the nodes of an arm hold its differences themselves, and stand in a namespace of its name; what compares policies
    # may hold any of the lineage
    own = {*arms, *policies, *(_COMPARING if policies else ())}
    nodes = {node.name for node in chain.graph.nodes if (node.namespace or "").split(".")[0] in own}
    return differing | entries, stages | nodes


def _differing(here: Mapping[str, Any], there: Mapping[str, Any]) -> set[str]:
    absent = object()
    return {name for name in {*here, *there} if here.get(name, absent) != there.get(name, absent)}


def _covers(name: str, path: str) -> bool:
    block = name.removeprefix(_PARAMETERS)
    return path == block or path.startswith(f"{block}.") or block.startswith(f"{path}.")


def _place(catalog: CatalogProtocol, name: str) -> Path | None:
    place = getattr(catalog.get(name), "_filepath", None)
    return None if place is None else Path(place)
