"""What a judge says of answers and of revisions."""

from collections.abc import Collection

from kedro.pipeline import Node

from cai_kedro.core.axes import Axes
from cai_kedro.core.binding import bind
from cai_kedro.core.exam import Exam
from cai_kedro.core.lineage import CLONING, ENGRAVING, Lineage
from cai_kedro.pipelines.evaluation.harms import measure_harm_gaps, measure_transparency
from cai_kedro.pipelines.evaluation.judgements import judge_responses
from cai_kedro.pipelines.evaluation.ratings import measure_behaviour
from cai_kedro.pipelines.evaluation.revisions import (
    gather_revised_responses,
    judge_revisions,
    measure_revisions,
    score_revisions,
)
from cai_kedro.pipelines.evaluation.verbose_tax import measure_verbose_tax
from cai_kedro.pipelines.evaluation.wiring.names import AXES, JUDGED, PARAMS, SEED


def behaviour(axes: Axes) -> list[Node]:
    """Return the nodes of the shares of behaviours, and of harms where an axis is about red-team prompts."""
    nodes = [
        Node(
            judge_responses,
            inputs={"responses": "policy_responses", **JUDGED},
            outputs="policy_judgements",
            name="judge_responses",
        ),
        Node(
            measure_behaviour,
            inputs=["policy_judgements", PARAMS],
            outputs="behaviour_metrics",
            name="measure_behaviour",
        ),
    ]
    return nodes if axes.of_training("red_team") is None else [*nodes, *_harms()]


def _harms() -> list[Node]:
    return [
        Node(
            measure_transparency,
            inputs=["policy_judgements", "policy_prompts", "constitution", "judge", AXES],
            outputs="evaluation.transparency_metrics",
            name="measure_transparency",
        ),
        Node(
            measure_harm_gaps,
            inputs=["policy_judgements", "constitution", AXES],
            outputs="evaluation.harm_gaps_metrics",
            name="measure_harm_gaps",
        ),
    ]


def verbose_tax(lineage: Lineage) -> list[Node]:
    """Return the node that compares the two policies of SELF-ALIGN, where both are evaluated."""
    stages = {stage: lineage.self_aligned.get(stage, "") for stage in (ENGRAVING, CLONING)}
    if not {*stages.values()} <= {*lineage.evaluated}:
        return []
    measured = Node(
        bind(measure_verbose_tax, engraved=stages[ENGRAVING], verbose=stages[CLONING]),
        inputs={"judgements": "policy_judgements"},
        outputs="evaluation.verbose_tax_metrics",
        name="measure_verbose_tax",
    )
    return [measured]


def revisions(lineage: Lineage, exam: Exam, made_before: Collection[str]) -> list[Node]:
    """Return the nodes of the revisions, scored by a preference model and judged, as far as there are such."""
    if not {"initial_responses", "revisions", "direct_revisions"} <= set(made_before):
        return []
    scorer = lineage.scorer([arm for arm in lineage.arms if f"{arm}.preference.model" in made_before])
    gathered = Node(
        gather_revised_responses,
        inputs=["initial_responses", "revisions", "direct_revisions", "red_team_prompts", PARAMS, SEED],
        outputs="revised_responses",
        name="gather_revised_responses",
    )
    scored = Node(
        score_revisions,
        inputs=["revised_responses", "red_team_prompts", f"{scorer}.preference.model@checkpoint", PARAMS],
        outputs="revision_scores",
        name="score_revisions",
    )
    judged = Node(
        judge_revisions,
        inputs=["revised_responses", "red_team_prompts", "judge", AXES],
        outputs="revision_judgements",
        name="judge_revisions",
    )
    is_judged = exam.judge and exam.axes.of_training("red_team") is not None
    looked_at = [*([scored] if scorer else []), *([judged] if is_judged else [])]
    if not looked_at:
        return []
    measured = Node(
        measure_revisions,
        inputs={"params": PARAMS, **{name: name for node in looked_at for name in node.outputs}},
        outputs="revision_metrics",
        name="measure_revisions",
    )
    return [gathered, *looked_at, measured]
