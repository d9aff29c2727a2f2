"""The wiring of stage 2."""

from kedro.pipeline import Node, Pipeline

from cai_kedro.core.lineage import ENGRAVING, Lineage
from cai_kedro.pipelines.self_align.self_alignment.answering import plan_self_alignment
from cai_kedro.pipelines.self_align.self_alignment.checking import check_answers
from cai_kedro.pipelines.self_align.self_alignment.usage import measure_rule_usage

_PARAMS = "params:self_align.self_alignment"


def create_pipeline(lineage: Lineage) -> Pipeline:
    """From questions to checked answers of the model that principles are engraved in; nothing where there is none."""
    start = lineage.start_of_stage(ENGRAVING)
    if start is None:
        return Pipeline([])
    return Pipeline(
        [
            Node(
                plan_self_alignment,
                inputs={
                    "questions": "self_align_questions",
                    "rules": "self_align_rules",
                    "engine": f"{start}@engine",
                    "params": _PARAMS,
                    "seed": "params:seed",
                    "shards": "params:shards",
                },
                outputs="self_align_answers",
                name="answer_under_rules",
                tags="sampling",
            ),
            Node(
                check_answers,
                inputs={"answers": "self_align_answers", "rules": "self_align_rules", "params": _PARAMS},
                outputs=["self_align_checked_answers", "self_align.answer_counts", "self_align.answer_metrics"],
                name="check_answers",
            ),
            Node(
                measure_rule_usage,
                inputs={"answers": "self_align_checked_answers", "rules": "self_align_rules", "params": _PARAMS},
                outputs="self_align.rule_usage",
                name="measure_rule_usage",
            ),
        ],
        namespace="self_alignment",
        prefix_datasets_with_namespace=False,
    )
