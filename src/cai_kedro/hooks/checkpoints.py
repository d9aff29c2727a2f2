"""The checkpoints of a training go when its model is saved."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline.node import Node


class Checkpoints:
    """Removes what a training kept to go on from, once all outputs of its node are saved: saving may fail."""

    def __init__(self) -> None:
        self._folders: set[Path] = set()
        self._saved: dict[str, set[str]] = {}

    @hook_impl
    def before_pipeline_run(self, catalog: CatalogProtocol) -> None:
        """Find out where trainings keep checkpoints."""
        parameters = catalog.load("parameters") if "parameters" in catalog else {}
        self._folders, self._saved = set(checkpoint_folders(parameters)), {}

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """Remove them behind the node's last output."""
        saved = self._saved.setdefault(node.name, set())
        saved.add(dataset_name)
        if self._folders and saved.issuperset(node.outputs):
            from cai_kedro.learning.checkpoints import remove_finished  # noqa: PLC0415 - imports torch

            remove_finished(self._folders)


def checkpoint_folders(parameters: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the `directory` of every block `checkpoints` in the parameters, however deep."""
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            if name == "checkpoints" and isinstance(value.get("directory"), str):
                yield Path(value["directory"])
            yield from checkpoint_folders(value)
