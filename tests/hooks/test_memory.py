"""What a training leaves behind goes with its stage."""

import gc
import weakref

import pytest
from kedro.pipeline import node

from cai_kedro.hooks.memory import Memory


class Trainer:
    """Holds itself, as a trainer does by its callbacks."""

    def __init__(self) -> None:
        self.callback = self


@pytest.mark.parametrize(("tags", "stays"), [("training", False), (None, True)])
def test_a_trainer_is_freed_behind_a_training_and_nothing_is_looked_for_behind_other_nodes(
    tags: str | None, stays: bool
) -> None:
    gc.collect()
    gc.disable()
    try:
        left = weakref.ref(Trainer())
        Memory().after_node_run(node(len, inputs="rows", outputs="count", name="n", tags=tags))
        assert (left() is not None) == stays
    finally:
        gc.enable()


@pytest.mark.parametrize("end", ["after_pipeline_run", "on_pipeline_error"])
def test_what_was_there_before_a_run_is_not_looked_through_while_it_goes_on(end: str) -> None:
    memory = Memory()
    before = gc.get_freeze_count()
    memory.before_pipeline_run()
    during = gc.get_freeze_count()
    getattr(memory, end)()
    assert (before, during > 0, gc.get_freeze_count()) == (0, True, 0)
