"""The wiring of the evaluation: what has no judge, no referee or no input is not run."""

from collections.abc import Collection, Sequence

from kedro.pipeline import Node, Pipeline

from cai_kedro.core.axes import Axes
from cai_kedro.core.binding import bind
from cai_kedro.core.exam import Exam
from cai_kedro.core.lineage import Lineage
from cai_kedro.pipelines.evaluation.answers import answer_as, gather_responses
from cai_kedro.pipelines.evaluation.exam import gather_eval_prompts, gather_snapshot_prompts
from cai_kedro.pipelines.evaluation.harmfulness import rate_conversations, score_harmfulness
from cai_kedro.pipelines.evaluation.harms import measure_harm_gaps, measure_transparency
from cai_kedro.pipelines.evaluation.head_to_heads import admit_referee_of, decide_head_to_heads
from cai_kedro.pipelines.evaluation.judgements import judge_responses
from cai_kedro.pipelines.evaluation.labels import (
    make_test_cases,
    measure_labels,
    measure_preference_models,
    score_test_cases_of,
    tabulate_reliability,
)
from cai_kedro.pipelines.evaluation.not_measured import missing_of, tell_not_measured_of
from cai_kedro.pipelines.evaluation.over_training import measure_over_training_of
from cai_kedro.pipelines.evaluation.ratings import compare_neighbours, measure_behaviour, rate_policies, summarise
from cai_kedro.pipelines.evaluation.revisions import (
    gather_revised_responses,
    judge_revisions,
    measure_revisions,
    score_revisions,
)
from cai_kedro.pipelines.evaluation.snapshots import answer_along, decide_along, gather_along, rate_snapshots

_PARAMS, _AXES, _SEED = "params:evaluation", "params:axes", "params:seed"
_JUDGED = {"policy_prompts": "policy_prompts", "prompt_axes": "prompt_axes", "judge": "judge"}


def create_pipeline(lineage: Lineage, exam: Exam, made_before: Collection[str]) -> Pipeline:
    """From every model and table of the run to its metrics and the summary table, as far as somebody can decide.

    `made_before` are the datasets that the pipelines before make.
    """
    parts = _answers(lineage, exam.axes)
    parts += [
        *_snapshot_answers(lineage.arms),
        *_labels(lineage, exam, made_before),
        *_revisions(lineage, exam, made_before),
    ]
    if lineage.roles.referee and exam.referee:
        parts += _elo(lineage, lineage.roles.referee)
        parts += _snapshot_elo(lineage, lineage.roles.referee)
    if exam.judge:
        parts += [*_behaviour(exam.axes), *_snapshot_judgements(lineage.arms), *_preference_models(lineage.arms)]
    parts += _over_training(lineage, exam)
    parts += _absolute_harmfulness(lineage, exam, made_before)
    made = {name for node in parts for name in node.outputs}
    return Pipeline(
        [*parts, _summary(made), _not_measured({*made, *made_before}, missing_of(lineage, exam))],
        namespace="evaluation",
        prefix_datasets_with_namespace=False,
    )


def _answers(lineage: Lineage, axes: Axes) -> list[Node]:
    return [
        Node(
            gather_eval_prompts,
            inputs={"params": _PARAMS, "axes": _AXES, "seed": _SEED, **{table: table for table in axes.tables}},
            outputs=["policy_prompts", "prompt_axes"],
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
    ]


def _elo(lineage: Lineage, referee: str) -> list[Node]:
    return [
        Node(
            admit_referee_of(tuple(lineage.teachers)),
            inputs=[referee, _PARAMS, *(f"{model}@digest" for model in lineage.teachers.values())],
            outputs="referee_metrics",
            name="admit_referee",
        ),
        Node(
            decide_head_to_heads,
            inputs={
                "responses": "policy_responses",
                "prompts": "policy_prompts",
                "prompt_axes": "prompt_axes",
                "referee": referee,
                "axes": _AXES,
                "seed": _SEED,
            },
            outputs="policy_head_to_heads",
            name="decide_head_to_heads",
        ),
        Node(
            bind(rate_policies, reference=lineage.zero),
            inputs=["policy_head_to_heads", "policy_prompts", _PARAMS, _SEED, "referee_metrics"],
            outputs="elo_metrics",
            name="rate_policies",
        ),
        Node(
            bind(compare_neighbours, reference=lineage.zero),
            inputs=["policy_head_to_heads", _PARAMS, _SEED, "referee_metrics"],
            outputs="elo_gap_metrics",
            name="compare_neighbours",
        ),
    ]


def _behaviour(axes: Axes) -> list[Node]:
    nodes = [
        Node(
            judge_responses,
            inputs={"responses": "policy_responses", **_JUDGED},
            outputs="policy_judgements",
            name="judge_responses",
        ),
        Node(
            measure_behaviour,
            inputs=["policy_judgements", _PARAMS],
            outputs="behaviour_metrics",
            name="measure_behaviour",
        ),
    ]
    return nodes if axes.of_training("red_team") is None else [*nodes, *_harms()]


def _snapshot_judgements(arms: Sequence[str]) -> list[Node]:
    node = Node(
        judge_responses,
        inputs={"responses": "snapshot_responses", **_JUDGED},
        outputs="snapshot_judgements",
        name="judge_snapshots",
    )
    return [node] if arms else []


def _harms() -> list[Node]:
    return [
        Node(
            measure_transparency,
            inputs=["policy_judgements", "policy_prompts", "constitution", "judge", _AXES],
            outputs="evaluation.transparency_metrics",
            name="measure_transparency",
        ),
        Node(
            measure_harm_gaps,
            inputs=["policy_judgements", "constitution", _AXES],
            outputs="evaluation.harm_gaps_metrics",
            name="measure_harm_gaps",
        ),
    ]


def _summary(made: set[str]) -> Node:
    measured = {name for name in ("elo_metrics", "elo_gap_metrics", "behaviour_metrics") if name in made}
    return Node(
        summarise,
        inputs={
            "policy_responses": "policy_responses",
            "params": _PARAMS,
            "axes": _AXES,
            **{name: name for name in sorted(measured)},
        },
        outputs="policy_summary",
        name="summarise",
    )


def _not_measured(made: set[str], missing: dict[str, str]) -> Node:
    looked_at = {
        name.removeprefix("evaluation."): name
        for name in (
            "elo_metrics",
            "policy_judgements",
            "preference_accuracy_metrics",
            "evaluation.transparency_metrics",
            "evaluation.harm_gaps_metrics",
            "evaluation.snapshot_elo_metrics",
            "evaluation.absolute_harmfulness_metrics",
            "critic_check_metrics",
            "labeller_check_metrics",
        )
        if name in made
    }
    return Node(
        tell_not_measured_of(missing),
        inputs={"axes": _AXES, **looked_at},
        outputs="not_measured",
        name="tell_not_measured",
    )


def _revisions(lineage: Lineage, exam: Exam, made_before: Collection[str]) -> list[Node]:
    if not {"initial_responses", "revisions", "direct_revisions"} <= set(made_before):
        return []
    gathered = Node(
        gather_revised_responses,
        inputs=["initial_responses", "revisions", "direct_revisions", "red_team_prompts", _PARAMS, _SEED],
        outputs="revised_responses",
        name="gather_revised_responses",
    )
    scored = Node(
        score_revisions,
        inputs=["revised_responses", "red_team_prompts", f"{lineage.scorer}.preference.model@checkpoint", _PARAMS],
        outputs="revision_scores",
        name="score_revisions",
    )
    judged = Node(
        judge_revisions,
        inputs=["revised_responses", "red_team_prompts", "judge", _AXES],
        outputs="revision_judgements",
        name="judge_revisions",
    )
    is_judged = exam.judge and exam.axes.of_training("red_team") is not None
    looked_at = [*([scored] if lineage.scorer else []), *([judged] if is_judged else [])]
    if not looked_at:
        return []
    measured = Node(
        measure_revisions,
        inputs={"params": _PARAMS, **{name: name for node in looked_at for name in node.outputs}},
        outputs="revision_metrics",
        name="measure_revisions",
    )
    return [gathered, *looked_at, measured]


def _labels(lineage: Lineage, exam: Exam, made_before: Collection[str]) -> list[Node]:
    tables = [*lineage.tables_by("labeller").values(), *lineage.tables_by("thinker").values()]
    labelled = {table: table for table in tables if table in made_before}
    if not labelled:
        return []
    judge = {"judge": "judge"} if exam.judge else {}
    measured = Node(
        measure_labels,
        inputs={"params": _PARAMS, "seed": _SEED, **judge, **labelled},
        outputs="label_metrics",
        name="measure_labels",
    )
    tabulated = Node(
        tabulate_reliability,
        inputs={"params": _PARAMS, "judge": "judge", **labelled},
        outputs="label_reliability",
        name="tabulate_reliability",
    )
    return [measured, tabulated] if exam.judge else [measured]


def _preference_models(arms: Sequence[str]) -> list[Node]:
    if not arms:
        return []
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


def _snapshot_answers(arms: Sequence[str]) -> list[Node]:
    if not arms:
        return []
    return [
        Node(
            gather_snapshot_prompts,
            inputs=["policy_prompts", "prompt_axes", _PARAMS, _AXES, _SEED],
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
            for arm in arms
        ),
        Node(
            gather_responses,
            inputs=[f"evaluation.{arm}_snapshot_responses" for arm in arms],
            outputs="snapshot_responses",
            name="gather_snapshot_responses",
        ),
    ]


def _snapshot_elo(lineage: Lineage, referee: str) -> list[Node]:
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
                "referee": referee,
                "axes": _AXES,
                "seed": _SEED,
            },
            outputs="snapshot_head_to_heads",
            name="decide_along_rl",
        ),
        Node(
            rate_snapshots(lineage.starts, lineage.zero),
            inputs=["snapshot_head_to_heads", "referee_metrics", _PARAMS, _SEED],
            outputs="evaluation.snapshot_elo_metrics",
            name="rate_snapshots",
        ),
    ]


def _over_training(lineage: Lineage, exam: Exam) -> list[Node]:
    arms = lineage.arms
    if not arms:
        return []
    return [
        Node(
            measure_over_training_of(arms),
            inputs={
                "axes": _AXES,
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


def _absolute_harmfulness(lineage: Lineage, exam: Exam, made_before: Collection[str]) -> list[Node]:
    axis = exam.axes.of_training("red_team")
    if axis is None or not exam.raters or not lineage.arms or "human_red_team_pairs" not in made_before:
        return []
    return [
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
                "eval_red_team_prompts": exam.axes.measured[axis].prompts,
                "human_raters": "human_raters",
                "params": "params:harmfulness",
                "seed": _SEED,
            },
            outputs=["evaluation.absolute_harmfulness_scores", "evaluation.absolute_harmfulness_metrics"],
            name="score_harmfulness",
            tags="training",
        ),
    ]
