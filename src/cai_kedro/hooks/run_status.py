"""One line when a stage starts and one when it is done, and how fast the whole run is."""

import inspect
import logging
import time
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from cai_kedro.hooks.quiet import quieten, set_threads, wanted_threads

logger = logging.getLogger(__name__)


class RunStatus:
    """Logs `stage 7 of 41: sl_cai.fine_tune` and `stage 7 of 41: sl_cai.fine_tune 12.3 s`.

    A stage lasts from the loading of its first input to the saving of its last output, because
    saving a model or a large table takes its time too.
    """

    def __init__(self) -> None:
        self._total = 0
        self._begun: dict[str, tuple[int, float]] = {}
        self._unsaved: dict[str, set[str]] = {}

    @property
    def stage(self) -> str | None:
        """The stage that began last, `stage 7 of 41: sl_cai.fine_tune`; None before the first."""
        name = next(reversed(self._begun), None)
        return None if name is None else f"stage {self._of(self._begun[name][0])}: {name}"

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Quieten libraries before the pipelines import them; no stage has begun."""
        self._begun, self._unsaved = {}, {}  # one object serves every session of a process
        quieten()

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Count the stages, set the threads."""
        self._total = len(pipeline.nodes)
        quieten()
        threads = wanted_threads(catalog.load("parameters") if "parameters" in catalog else {})
        set_threads(threads)
        logger.info("%d stages, %d threads", self._total, threads)

    @hook_impl(tryfirst=True)
    def before_dataset_loaded(self, dataset_name: str, node: Node) -> None:
        """Start the clock of a stage at its first input."""
        self._begin(node)

    @hook_impl(tryfirst=True)
    def before_node_run(self, node: Node) -> None:
        """Start the clock of a stage without inputs."""
        self._begin(node)

    @hook_impl(trylast=True)
    def after_node_run(self, node: Node) -> None:
        """End a stage that saves nothing."""
        if not node.outputs:
            self._end(node.name)

    @hook_impl(trylast=True)
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """End a stage with its last output; one that yields its outputs in parts ends with the next stage's start."""
        unsaved = self._unsaved.get(node.name, set())
        unsaved.discard(dataset_name)
        if not unsaved and not inspect.isgeneratorfunction(node.func):
            self._end(node.name)

    @hook_impl(tryfirst=True)
    def after_pipeline_run(self) -> None:
        """End what has not ended."""
        self._end_all()

    def _begin(self, node: Node) -> None:
        if node.name in self._begun:
            return
        for name in [name for name in self._unsaved if not self._unsaved[name]]:
            self._end(name)
        number = len(self._begun) + 1
        self._begun[node.name] = (number, time.perf_counter())
        self._unsaved[node.name] = set(node.outputs)
        logger.info("stage %s: %s", self._of(number), node.name)

    def _end(self, name: str) -> None:
        if self._unsaved.pop(name, None) is not None:
            number, began = self._begun[name]
            logger.info("stage %s: %s %.1f s", self._of(number), name, time.perf_counter() - began)

    def _end_all(self) -> None:
        for name in list(self._unsaved):
            self._end(name)

    def _of(self, number: int) -> str:
        return f"{number} of {self._total}" if self._total else str(number)
