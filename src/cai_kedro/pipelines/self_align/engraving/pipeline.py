"""The wiring of stage 3."""

from kedro.pipeline import Node, Pipeline

from cai_kedro.core.lineage import ENGRAVING, Lineage
from cai_kedro.pipelines.self_align.engraving.rows import build_engraving_rows
from cai_kedro.pipelines.self_align.engraving.training import engrave

_PARAMS = "params:self_align.engraving"


def create_pipeline(lineage: Lineage) -> Pipeline:
    """From checked answers to the engraved model; nothing where no policy learns so."""
    start, policy = lineage.start_of_stage(ENGRAVING), lineage.self_aligned.get(ENGRAVING)
    if start is None:
        return Pipeline([])
    return Pipeline(
        [
            Node(
                build_engraving_rows,
                inputs={"answers": "self_align_checked_answers", "params": _PARAMS, "seed": "params:seed"},
                outputs="self_align_engraving_rows",
                name="build_rows",
            ),
            Node(
                engrave,
                inputs={
                    "base": f"{start}@checkpoint",
                    "rows": "self_align_engraving_rows",
                    "params": _PARAMS,
                    "seed": "params:seed",
                },
                outputs=[f"{policy}.model@checkpoint", f"{policy}.training_curves"],
                name="engrave",
                tags="training",
            ),
        ],
        namespace="engraving",
        prefix_datasets_with_namespace=False,
    )
