"""What a training leaves behind is given back before the next stage begins."""

import ctypes
import gc
import sys
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.pipeline.node import Node

TRAINING = "training"


class Memory:
    """Frees what a trainer held: its reference model, the optimiser's state, its snapshots.

    A trainer and its callbacks hold each other, so all that stays until Python happens to look for cycles, which for
    few large objects it seldom does: two arms of a run then lie in memory at once. glibc keeps freed memory, too, where
    small pieces are in use between large ones.
    """

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Collect before the outputs are saved, which needs memory again."""
        if TRAINING in node.tags:
            give_back()


def give_back() -> None:
    """Collect cycles, and hand free memory back to the system where its allocator can be told to (glibc)."""
    gc.collect()
    trim: Any = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
