"""The wiring of the evaluation."""

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from cai_kedro.core.lineage import Lineage
from cai_kedro.pipelines.evaluation.answers import (
    answer_as,
    gather_eval_prompts,
    gather_responses,
    judge_responses,
)
from cai_kedro.pipelines.evaluation.harmfulness import rate_conversations, score_harmfulness
from cai_kedro.pipelines.evaluation.harms import measure_harm_gaps, measure_transparency
from cai_kedro.pipelines.evaluation.head_to_heads import admit_referee_of, decide_head_to_heads
from cai_kedro.pipelines.evaluation.labels import (
    make_test_cases,
    measure_labels,
    measure_preference_models,
    score_test_cases_of,
    tabulate_reliability,
)
from cai_kedro.pipelines.evaluation.over_training import measure_over_training_of
from cai_kedro.pipelines.evaluation.ratings import compare_neighbours, measure_behaviour, rate_policies, summarise
from cai_kedro.pipelines.evaluation.revisions import (
    gather_revised_responses,
    judge_revisions,
    measure_revisions,
    score_revisions,
)
from cai_kedro.pipelines.evaluation.snapshots import answer_along, gather_snapshot_prompts, rate_snapshots

_PARAMS, _SEED = "params:evaluation", "params:seed"


def create_pipeline(lineage: Lineage) -> Pipeline:
    """From every model and table of the run to its metrics and the summary table."""
    return Pipeline(
        [
            *_answers(lineage),
            *_ratings(),
            *_harms(),
            *_revisions(lineage),
            *_labels(),
            *_preference_models(lineage.arms),
            *_snapshots(lineage),
        ],
        namespace="evaluation",
        prefix_datasets_with_namespace=False,
    )


def _answers(lineage: Lineage) -> list[Node]:
    return [
        Node(
            gather_eval_prompts,
            inputs=["eval_red_team_prompts", "eval_helpful_prompts", _PARAMS, _SEED],
            outputs="policy_prompts",
            name="gather_eval_prompts",
        ),
        *(
            Node(
                answer_as(policy),
                inputs=["policy_prompts", f"{model}@engine", _PARAMS, _SEED, "params:shards"],
                outputs=f"{policy}_eval_responses",
                name=f"answer_as_{policy}",
                tags="sampling",
            )
            for policy, model in lineage.evaluated.items()
        ),
        Node(
            gather_responses,
            inputs=[f"{policy}_eval_responses" for policy in lineage.evaluated],
            outputs="policy_responses",
            name="gather_responses",
        ),
        Node(
            judge_responses,
            inputs=["policy_responses", "eval_red_team_prompts", "eval_helpful_prompts", "judge"],
            outputs="policy_judgements",
            name="judge_responses",
        ),
        Node(
            admit_referee_of(tuple(lineage.teachers)),
            inputs=["referee", _PARAMS, *(f"{model}@digest" for model in lineage.teachers.values())],
            outputs="referee_metrics",
            name="admit_referee",
        ),
        Node(
            decide_head_to_heads,
            inputs=["policy_responses", "eval_red_team_prompts", "eval_helpful_prompts", "referee", _SEED],
            outputs="policy_head_to_heads",
            name="decide_head_to_heads",
        ),
    ]


def _ratings() -> list[Node]:
    return [
        Node(
            rate_policies,
            inputs=["policy_head_to_heads", "policy_prompts", _PARAMS, _SEED, "referee_metrics"],
            outputs="elo_metrics",
            name="rate_policies",
        ),
        Node(
            compare_neighbours,
            inputs=["policy_head_to_heads", _PARAMS, _SEED, "referee_metrics"],
            outputs="elo_gap_metrics",
            name="compare_neighbours",
        ),
        Node(
            measure_behaviour,
            inputs=["policy_judgements", _PARAMS],
            outputs="behaviour_metrics",
            name="measure_behaviour",
        ),
        Node(
            summarise,
            inputs=["elo_metrics", "behaviour_metrics", _PARAMS, "elo_gap_metrics"],
            outputs="policy_summary",
            name="summarise",
        ),
    ]


def _harms() -> list[Node]:
    return [
        Node(
            measure_transparency,
            inputs=["policy_judgements", "policy_prompts", "constitution", "judge"],
            outputs="evaluation.transparency_metrics",
            name="measure_transparency",
        ),
        Node(
            measure_harm_gaps,
            inputs=["policy_judgements", "constitution"],
            outputs="evaluation.harm_gaps_metrics",
            name="measure_harm_gaps",
        ),
    ]


def _revisions(lineage: Lineage) -> list[Node]:
    return [
        Node(
            gather_revised_responses,
            inputs=["initial_responses", "revisions", "direct_revisions", "red_team_prompts", _PARAMS, _SEED],
            outputs="revised_responses",
            name="gather_revised_responses",
        ),
        Node(
            score_revisions,
            inputs=["revised_responses", "red_team_prompts", f"{lineage.scorer}.preference.model@checkpoint", _PARAMS],
            outputs="revision_scores",
            name="score_revisions",
        ),
        Node(
            judge_revisions,
            inputs=["revised_responses", "red_team_prompts", "judge"],
            outputs="revision_judgements",
            name="judge_revisions",
        ),
        Node(
            measure_revisions,
            inputs=["revision_scores", "revision_judgements", _PARAMS],
            outputs="revision_metrics",
            name="measure_revisions",
        ),
    ]


def _labels() -> list[Node]:
    return [
        Node(
            measure_labels,
            inputs=["ai_comparisons", "ai_cot_comparisons", "judge", _PARAMS, _SEED],
            outputs="label_metrics",
            name="measure_labels",
        ),
        Node(
            tabulate_reliability,
            inputs=["ai_comparisons", "ai_cot_comparisons", "judge", _PARAMS],
            outputs="label_reliability",
            name="tabulate_reliability",
        ),
    ]


def _preference_models(arms: Sequence[str]) -> list[Node]:
    return [
        Node(
            make_test_cases, inputs=["judge", _PARAMS, _SEED], outputs="preference_test_cases", name="make_test_cases"
        ),
        *(
            Node(
                score_test_cases_of(arm),
                inputs=["preference_test_cases", f"{arm}.preference.model@checkpoint", _PARAMS],
                outputs=f"{arm}_test_scores",
                name=f"score_test_cases_of_{arm}",
            )
            for arm in arms
        ),
        Node(
            measure_preference_models,
            inputs=["preference_test_cases", *(f"{arm}_test_scores" for arm in arms)],
            outputs="preference_accuracy_metrics",
            name="measure_preference_models",
        ),
    ]


def _snapshots(lineage: Lineage) -> list[Node]:
    return [
        Node(
            gather_snapshot_prompts,
            inputs=["policy_prompts", "eval_red_team_prompts", _PARAMS, _SEED],
            outputs="snapshot_prompts",
            name="gather_snapshot_prompts",
        ),
        *(
            Node(
                answer_along(arm),
                inputs=["snapshot_prompts", f"{arm}.snapshots@engine", _PARAMS, _SEED],
                outputs=f"evaluation.{arm}_snapshot_responses",
                name=f"answer_along_{arm}",
                tags="sampling",
            )
            for arm in lineage.arms
        ),
        Node(
            gather_responses,
            inputs=[f"evaluation.{arm}_snapshot_responses" for arm in lineage.arms],
            outputs="snapshot_responses",
            name="gather_snapshot_responses",
        ),
        Node(
            judge_responses,
            inputs=["snapshot_responses", "eval_red_team_prompts", "eval_helpful_prompts", "judge"],
            outputs="snapshot_judgements",
            name="judge_snapshots",
        ),
        Node(
            rate_snapshots(lineage.starts),
            inputs=["snapshot_judgements", "policy_judgements", "snapshot_prompts", "judge", _PARAMS, _SEED],
            outputs="evaluation.snapshot_elo_metrics",
            name="rate_snapshots",
        ),
        Node(
            measure_over_training_of(lineage.arms),
            inputs={
                "judge": "judge",
                "red_team_prompts": "red_team_prompts",
                "given_red_team_prompts": "given_red_team_prompts",
                **{f"{arm}_signals": f"{arm}.snapshot_signals" for arm in lineage.arms},
                **{f"{arm}_choice": f"{arm}.snapshot_choice" for arm in lineage.arms},
                **{f"{arm}_prompts": f"{arm}.rl_prompts" for arm in lineage.arms},
            },
            outputs="evaluation.over_training_metrics",
            name="measure_over_training",
        ),
        Node(
            rate_conversations,
            inputs=["human_red_team_pairs", "human_raters", "params:harmfulness", _SEED],
            outputs="evaluation.harm_ratings",
            name="rate_conversations",
        ),
        Node(
            score_harmfulness(lineage.starts),
            inputs={
                "base": f"{lineage.model_of(lineage.base)}@checkpoint",
                "ratings": "evaluation.harm_ratings",
                "snapshot_responses": "snapshot_responses",
                "policy_responses": "policy_responses",
                "eval_red_team_prompts": "eval_red_team_prompts",
                "human_raters": "human_raters",
                "params": "params:harmfulness",
                "seed": _SEED,
            },
            outputs=["evaluation.absolute_harmfulness_scores", "evaluation.absolute_harmfulness_metrics"],
            name="score_harmfulness",
            tags="training",
        ),
    ]
