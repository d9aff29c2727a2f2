"""The wiring of SELF-ALIGN: its stages, one after the other."""

from kedro.pipeline import Pipeline

from cai_kedro.core.axes import Axes
from cai_kedro.core.lineage import Lineage
from cai_kedro.pipelines.self_align import cloning, engraving, self_alignment, self_instruct


def create_pipeline(lineage: Lineage, axes: Axes) -> Pipeline:
    """From what people write to the models of the policies that learn by `engraving` and `cloning`.

    These are trained on request whether the lineage has them enabled or not; that says only whether they are
    evaluated, and part of the whole run. A stage that has no policy to make is not there.
    """
    stages = (self_alignment, engraving, cloning)
    made = [stage.create_pipeline(lineage) for stage in stages]
    return sum(made, start=self_instruct.create_pipeline(lineage, axes))
