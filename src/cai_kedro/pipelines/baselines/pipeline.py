"""Human comparisons of the pretrained model's answers, and the two arms that learn from them."""

from kedro.pipeline import Node, Pipeline

from cai_kedro.templates import rlhf
from cai_kedro.templates.human_feedback import (
    compare_harmlessness,
    compare_helpfulness,
    plan_human_pairs,
    recorded_pairs,
)
from cai_kedro.templates.training_prompts import training_prompts


def create_pipeline() -> Pipeline:
    """Train Helpful RLHF and HH RLHF from the pretrained model, on the given prompts.

    Helpful RLHF is rated on red-team prompts too: an assistant that only wants to help complies there.
    """
    return (
        Pipeline(
            [*_prompts(), *_recorded(), *_pairs(), *_labels()],
            namespace="baselines",
            prefix_datasets_with_namespace=False,
        )
        + _arm("helpful_rlhf", "human_red_team_helpfulness_comparisons")
        + _arm("hh_rlhf", "human_harmlessness_comparisons")
    )


def _prompts() -> list[Node]:
    return [
        Node(
            training_prompts,
            inputs={
                "given": f"given_{kind}_prompts",
                "held_out": f"eval_{kind}_prompts",
                "held_out_phrases": "held_out_phrases",
            },
            outputs=f"baseline_{kind}_prompts",
            name=f"clean_{kind}_prompts",
        )
        for kind in ("helpful", "red_team")
    ]


def _recorded() -> list[Node]:
    return [
        Node(
            recorded_pairs,
            inputs={"prompts": f"baseline_{kind}_prompts", "human_raters": "human_raters"},
            outputs=f"recorded_{kind}_pairs",
            name=f"gather_recorded_{kind}_pairs",
            tags="human_feedback",
        )
        for kind in ("helpful", "red_team")
    ]


def _pairs() -> list[Node]:
    return [
        Node(
            plan_human_pairs,
            inputs={
                "prompts": f"baseline_{kind}_prompts",
                "recorded": f"recorded_{kind}_pairs",
                "engine": "pretrained.model@engine",
                "params": f"params:baselines.human_{kind}_pairs",
                "seed": "params:seed",
                "shards": "params:shards",
            },
            outputs=f"human_{kind}_pairs",
            name=f"sample_human_{kind}_pairs",
            tags="sampling",
        )
        for kind in ("helpful", "red_team")
    ]


def _labels() -> list[Node]:
    return [
        Node(
            compare,
            inputs=[pairs, "human_raters", "params:seed"],
            outputs=comparisons,
            name=f"compare_{comparisons.removesuffix('_comparisons')}",
            tags="human_feedback",
        )
        for compare, pairs, comparisons in (
            (compare_helpfulness, "human_helpful_pairs", "human_helpfulness_comparisons"),
            (compare_helpfulness, "human_red_team_pairs", "human_red_team_helpfulness_comparisons"),
            (compare_harmlessness, "human_red_team_pairs", "human_harmlessness_comparisons"),
        )
    ]


def _arm(name: str, red_team_comparisons: str) -> Pipeline:
    return rlhf.create_pipeline(
        name,
        comparisons=["human_helpfulness_comparisons", red_team_comparisons],
        start="pretrained.model",
        red_team_prompts="baseline_red_team_prompts",
        helpful_prompts="baseline_helpful_prompts",
    )
