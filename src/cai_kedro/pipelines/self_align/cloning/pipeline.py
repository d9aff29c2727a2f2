"""The wiring of stage 4."""

from kedro.pipeline import Node, Pipeline

from cai_kedro.core.lineage import CLONING, ENGRAVING, Lineage
from cai_kedro.pipelines.self_align.cloning.answering import plan_verbose_answers
from cai_kedro.pipelines.self_align.cloning.rows import build_cloning_rows
from cai_kedro.pipelines.self_align.cloning.training import clone

_PARAMS = "params:self_align.cloning"


def create_pipeline(lineage: Lineage) -> Pipeline:
    """From questions and the engraved model to the verbose one; nothing where no policy learns so, or from none."""
    start, policy = lineage.start_of_stage(CLONING), lineage.self_aligned.get(CLONING)
    teacher = lineage.self_aligned.get(ENGRAVING)
    if start is None or teacher is None:
        return Pipeline([])
    return Pipeline(
        [
            Node(
                plan_verbose_answers,
                inputs={
                    "questions": "self_align_questions",
                    "engine": f"{teacher}.model@engine",
                    "params": _PARAMS,
                    "seed": "params:seed",
                    "shards": "params:shards",
                },
                outputs="self_align_verbose_answers",
                name="answer_verbosely",
                tags="sampling",
            ),
            Node(
                build_cloning_rows,
                inputs={"answers": "self_align_verbose_answers", "params": _PARAMS, "seed": "params:seed"},
                outputs="self_align_cloning_rows",
                name="build_rows",
            ),
            Node(
                clone,
                inputs={
                    "base": f"{start}@checkpoint",
                    "rows": "self_align_cloning_rows",
                    "params": _PARAMS,
                    "seed": "params:seed",
                },
                outputs=[f"{policy}.model@checkpoint", f"{policy}.training_curves"],
                name="clone",
                tags="training",
            ),
        ],
        namespace="cloning",
        prefix_datasets_with_namespace=False,
    )
