"""The wiring of SELF-ALIGN: its stages, one after the other."""

from kedro.pipeline import Pipeline

from cai_kedro.core.axes import Axes
from cai_kedro.core.lineage import Lineage
from cai_kedro.pipelines.self_align import self_instruct


def create_pipeline(lineage: Lineage, axes: Axes) -> Pipeline:
    """From seed tasks and types of questions to questions that the base model made up."""
    return self_instruct.create_pipeline(lineage, axes)
