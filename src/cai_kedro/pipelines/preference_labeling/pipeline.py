"""The wiring of the preference labels."""

from kedro.pipeline import Node, Pipeline

from cai_kedro.pipelines.preference_labeling.cot_labels import plan_cot_labels
from cai_kedro.pipelines.preference_labeling.labels import plan_labels
from cai_kedro.templates.human_feedback import compare_helpfulness, plan_human_pairs, recorded_pairs
from cai_kedro.templates.pairs import plan_pairs


def create_pipeline() -> Pipeline:
    """From SL-CAI's answers to AI comparisons of harmlessness and human comparisons of helpfulness."""
    return Pipeline(
        [*_pairs(), *_labels()],
        namespace="preference_labeling",
        prefix_datasets_with_namespace=False,
    )


def _pairs() -> list[Node]:
    return [
        Node(
            recorded_pairs,
            inputs={"prompts": "helpful_prompts", "human_raters": "human_raters"},
            outputs="recorded_sl_helpful_pairs",
            name="gather_recorded_sl_helpful_pairs",
            tags="human_feedback",
        ),
        *(
            Node(
                plan,
                inputs={
                    "prompts": prompts,
                    "engine": "sl_cai.model@engine",
                    **recorded,
                    "params": f"params:preference_labeling.{pairs}",
                    "seed": "params:seed",
                    "shards": "params:shards",
                },
                outputs=pairs,
                name=f"sample_{pairs}",
                tags="sampling",
            )
            for plan, prompts, pairs, recorded in (
                (plan_pairs, "red_team_prompts", "harmlessness_pairs", {}),
                (plan_human_pairs, "helpful_prompts", "sl_helpful_pairs", {"recorded": "recorded_sl_helpful_pairs"}),
            )
        ),
    ]


def _labels() -> list[Node]:
    return [
        Node(
            plan_labels,
            inputs={
                "pairs": "harmlessness_pairs",
                "constitution": "constitution",
                "engine": "pretrained.model@engine",
                "params": "params:preference_labeling.labels",
                "seed": "params:seed",
                "shards": "params:shards",
            },
            outputs="ai_comparisons",
            name="label_pairs",
            tags="labelling",
        ),
        Node(
            plan_cot_labels,
            inputs={
                "pairs": "harmlessness_pairs",
                "constitution": "constitution",
                "pretrained": "pretrained.model@engine",
                "helpful_rlhf": "helpful_rlhf.policy.model@engine",
                "params": "params:preference_labeling.cot_labels",
                "seed": "params:seed",
                "shards": "params:shards",
            },
            outputs="ai_cot_comparisons",
            name="label_pairs_with_cot",
            tags="labelling",
        ),
        Node(
            compare_helpfulness,
            inputs=["sl_helpful_pairs", "human_raters", "params:seed"],
            outputs="sl_helpfulness_comparisons",
            name="compare_sl_helpfulness",
            tags="human_feedback",
        ),
    ]
