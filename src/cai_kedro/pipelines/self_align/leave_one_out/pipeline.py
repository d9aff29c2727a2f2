"""The wiring of leaving out one rule at a time."""

from kedro.pipeline import Node, Pipeline

from cai_kedro.core.exam import Exam
from cai_kedro.core.lineage import ENGRAVING, Lineage
from cai_kedro.pipelines.self_align.leave_one_out.answering import plan_without_rules
from cai_kedro.pipelines.self_align.leave_one_out.effects import measure_left_out
from cai_kedro.pipelines.self_align.self_alignment.usage import measure_rule_usage_by_harm
from cai_kedro.reporting.figures.rules import draw_rule_usage_by_harm, draw_rules_left_out

_PARAMS = "params:self_align.self_alignment"
_LEFT_OUT = "params:self_align.leave_one_out"


def can_leave_out(lineage: Lineage, exam: Exam) -> bool:
    """Tell whether a run has answers under rules, and a judge to see what they are like."""
    return exam.judge and lineage.start_of_stage(ENGRAVING) is not None


def create_pipeline(lineage: Lineage) -> Pipeline:
    """From the checked answers of a finished run to which rules serve which harm, and what answers without one are."""
    shared = {"answers": "self_align_checked_answers", "rules": "self_align_rules", "params": _PARAMS}
    return Pipeline(
        [
            Node(
                plan_without_rules,
                inputs={
                    **shared,
                    "engine": f"{lineage.start_of_stage(ENGRAVING)}@engine",
                    "left_out": _LEFT_OUT,
                    "seed": "params:seed",
                    "shards": "params:shards",
                },
                outputs="self_align_left_out_answers",
                name="answer_without_rules",
                tags="sampling",
            ),
            Node(
                measure_left_out,
                inputs={
                    **shared,
                    "without": "self_align_left_out_answers",
                    "judge": "judge",
                    "left_out": _LEFT_OUT,
                    "seed": "params:seed",
                },
                outputs=["self_align.rules_left_out", "self_align.left_out_metrics"],
                name="measure_left_out",
            ),
            Node(
                draw_rules_left_out,
                inputs={"rules_left_out": "self_align.rules_left_out"},
                outputs="rules_left_out_figure",
                name="draw_rules_left_out",
            ),
            Node(
                measure_rule_usage_by_harm,
                inputs={**shared, "judge": "judge"},
                outputs="self_align.rule_usage_by_harm",
                name="measure_rule_usage_by_harm",
            ),
            Node(
                draw_rule_usage_by_harm,
                inputs={"rule_usage_by_harm": "self_align.rule_usage_by_harm"},
                outputs="rule_usage_by_harm_figure",
                name="draw_rule_usage_by_harm",
            ),
        ],
        namespace="leave_one_rule_out",
        prefix_datasets_with_namespace=False,
    )
