"""The policies along RL: their answers, judgements and Elo, over-training, absolute harmfulness."""

from collections.abc import Collection, Mapping, Sequence

from kedro.pipeline import Node

from cai_kedro.core.exam import Exam
from cai_kedro.core.lineage import Lineage
from cai_kedro.pipelines.evaluation.answers import gather_responses
from cai_kedro.pipelines.evaluation.exam import gather_snapshot_prompts
from cai_kedro.pipelines.evaluation.harmfulness import rate_conversations, score_harmfulness
from cai_kedro.pipelines.evaluation.judgements import judge_responses
from cai_kedro.pipelines.evaluation.over_training import measure_over_training_of
from cai_kedro.pipelines.evaluation.snapshots import answer_along, decide_along, gather_along, rate_snapshots
from cai_kedro.pipelines.evaluation.wiring.names import AXES, JUDGED, PARAMS, SEED


def snapshot_answers(arms: Sequence[str]) -> list[Node]:
    """Return the nodes of the answers along RL."""
    if not arms:
        return []
    return [
        Node(
            gather_snapshot_prompts,
            inputs=["policy_prompts", "prompt_axes", PARAMS, AXES, SEED],
            outputs="snapshot_prompts",
            name="gather_snapshot_prompts",
        ),
        *(
            Node(
                answer_along(arm),
                inputs=["snapshot_prompts", f"{arm}.snapshots@engine", PARAMS, SEED],
                outputs=f"evaluation.{arm}_snapshot_responses",
                name=f"answer_along_{arm}",
                tags="sampling",
            )
            for arm in arms
        ),
        Node(
            gather_responses,
            inputs=[f"evaluation.{arm}_snapshot_responses" for arm in arms],
            outputs="snapshot_responses",
            name="gather_snapshot_responses",
        ),
    ]


def snapshot_judgements(arms: Sequence[str]) -> list[Node]:
    """Return the node of what the judge says of the answers along RL."""
    node = Node(
        judge_responses,
        inputs={"responses": "snapshot_responses", **JUDGED},
        outputs="snapshot_judgements",
        name="judge_snapshots",
    )
    return [node] if arms else []


def snapshot_elo(lineage: Lineage, deciders: Mapping[str, Sequence[str]]) -> list[Node]:
    """Return the nodes of the Elo ratings along RL; `deciders` is `Exam.deciders`."""
    if not lineage.arms:
        return []
    return [
        Node(
            gather_along(lineage.starts, lineage.zero),
            inputs=["snapshot_responses", "policy_responses", "snapshot_prompts"],
            outputs="evaluation.met_along_responses",
            name="gather_along_rl",
        ),
        Node(
            decide_along,
            inputs={
                "responses": "evaluation.met_along_responses",
                "prompts": "snapshot_prompts",
                "prompt_axes": "prompt_axes",
                "axes": AXES,
                "seed": SEED,
                **{f"by_{entry}": entry for entry in deciders},
            },
            outputs="snapshot_head_to_heads",
            name="decide_along_rl",
        ),
        Node(
            rate_snapshots(lineage.starts, lineage.zero),
            inputs=["snapshot_head_to_heads", "referee_metrics", PARAMS, SEED],
            outputs="evaluation.snapshot_elo_metrics",
            name="rate_snapshots",
        ),
    ]


def over_training(lineage: Lineage, exam: Exam) -> list[Node]:
    """Return the node of what the preference model and the judge see along RL."""
    arms = lineage.arms
    if not arms:
        return []
    return [
        Node(
            measure_over_training_of(arms),
            inputs={
                "axes": AXES,
                "red_team_prompts": "red_team_prompts",
                "given_red_team_prompts": "given_red_team_prompts",
                **({"judge": "judge"} if exam.judge else {}),
                **{f"{arm}_signals": f"{arm}.snapshot_signals" for arm in arms},
                **{f"{arm}_choice": f"{arm}.snapshot_choice" for arm in arms},
                **{f"{arm}_prompts": f"{arm}.rl_prompts" for arm in arms},
            },
            outputs="evaluation.over_training_metrics",
            name="measure_over_training",
        )
    ]


def absolute_harmfulness(lineage: Lineage, exam: Exam, made_before: Collection[str]) -> list[Node]:
    """Return the nodes of the harmfulness model, where people rated conversations."""
    axis = exam.axes.of_training("red_team")
    if axis is None or not exam.raters or not lineage.arms or "human_red_team_pairs" not in made_before:
        return []
    return [
        Node(
            rate_conversations,
            inputs=["human_red_team_pairs", "human_raters", "params:harmfulness", SEED],
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
                "eval_red_team_prompts": exam.axes.measured[axis].prompts,
                "human_raters": "human_raters",
                "params": "params:harmfulness",
                "seed": SEED,
                "weights": "params:training",
            },
            outputs=["evaluation.absolute_harmfulness_scores", "evaluation.absolute_harmfulness_metrics"],
            name="score_harmfulness",
            tags="training",
        ),
    ]
