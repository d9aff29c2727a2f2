"""What a training leaves behind is given back before the next stage begins."""

import ctypes
import gc
import sys
from typing import Any

import psutil  # type: ignore[import-untyped]
from kedro.framework.hooks import hook_impl
from kedro.pipeline.node import Node

TRAINING = "training"
_LARGE = 3 * 2**30  # bytes


class Memory:
    """Frees what a trainer held: its reference model, the optimiser's state, its snapshots.

    A trainer and its callbacks hold each other, so all that stays until Python happens to look for cycles, which for
    few large objects it seldom does: two arms of a run then lie in memory at once. glibc keeps freed memory, too, where
    small pieces are in use between large ones.
    """

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Leave what is there before the first stage out of every later collection: those of libraries are many."""
        gc.freeze()
        gc.enable()  # `kedro run` turns it off at its start

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Collect these, too, from now on: a notebook runs many pipelines in one process."""
        gc.unfreeze()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """As after a run that ends well."""
        gc.unfreeze()

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Collect before the outputs are saved, which needs memory again."""
        if TRAINING in node.tags:
            give_back()


def give_back() -> None:
    """Collect cycles, and hand free memory back to the system where its allocator can be told to (glibc).

    A process below `_LARGE` keeps it: the system clears each page that it gives again, and a small run asks for the
    same pages in the next stage.
    """
    gc.collect()
    if sys.platform == "linux" and psutil.Process().memory_info().rss > _LARGE:
        trim: Any = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
