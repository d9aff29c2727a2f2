"""The wiring of the measurement."""

from kedro.pipeline import Node, Pipeline

from cai_kedro.pipelines.judge_accuracy.accuracy import measure_accuracy
from cai_kedro.pipelines.judge_accuracy.judges import judge_items, judge_items_with_cot, score_items

_PARAMS, _SEED = "params:judge_accuracy", "params:seed"


def create_pipeline() -> Pipeline:
    """From a file of comparisons, a judge and a preference model to their accuracy."""
    judge = ["comparison_items", "constitution", "accuracy_judge.model", _PARAMS, _SEED]
    return Pipeline(
        [
            Node(judge_items, inputs=judge, outputs="judged_items", name="judge_items", tags="labelling"),
            Node(
                judge_items_with_cot,
                inputs=judge,
                outputs="judged_items_with_cot",
                name="judge_items_with_cot",
                tags="labelling",
            ),
            Node(
                score_items,
                inputs=["comparison_items", "accuracy_preference.model", _PARAMS, _SEED],
                outputs="scored_items",
                name="score_items",
            ),
            Node(
                measure_accuracy,
                inputs=["comparison_items", "judged_items", "judged_items_with_cot", "scored_items", _PARAMS],
                outputs="judge_accuracy_metrics",
                name="measure_accuracy",
            ),
        ],
        namespace="judge_accuracy",
        prefix_datasets_with_namespace=False,
    )
