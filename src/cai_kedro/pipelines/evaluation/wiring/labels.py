"""How good AI labels and the preference models behind a policy are."""

from collections.abc import Collection, Sequence

from kedro.pipeline import Node

from cai_kedro.core.exam import Exam
from cai_kedro.core.lineage import Lineage
from cai_kedro.pipelines.evaluation.hard_tests import draw_hard_cases, measure_hard_tests_of, pairs_to_label
from cai_kedro.pipelines.evaluation.labels import (
    make_test_cases,
    measure_labels,
    measure_preference_models,
    score_test_cases_of,
    tabulate_reliability,
)
from cai_kedro.pipelines.evaluation.rater_agreement import measure_rater_agreement
from cai_kedro.pipelines.evaluation.wiring.names import AXES, PARAMS, SEED


def labels(lineage: Lineage, exam: Exam, made_before: Collection[str]) -> list[Node]:
    """Return the nodes of the AI labels that were made; against the truth only with a judge."""
    tables = [*lineage.tables_by("labeller").values(), *lineage.tables_by("thinker").values()]
    labelled = {table: table for table in tables if table in made_before}
    if not labelled:
        return []
    judge = {"judge": "judge"} if exam.judge else {}
    measured = Node(
        measure_labels,
        inputs={"params": PARAMS, "seed": SEED, **judge, **labelled},
        outputs="label_metrics",
        name="measure_labels",
    )
    tabulated = Node(
        tabulate_reliability,
        inputs={"params": PARAMS, "judge": "judge", **labelled},
        outputs="label_reliability",
        name="tabulate_reliability",
    )
    return [measured, tabulated] if exam.judge else [measured]


def hard_tests(lineage: Lineage, exam: Exam, made_before: Collection[str], arms: Sequence[str]) -> list[Node]:
    """Return the nodes of the tests on the policies' own answers; the labels are made in `preference_labeling`."""
    by_labeller = "ai_comparisons" in lineage.tables_by("labeller").values() and "ai_comparisons" in made_before
    labelled = by_labeller and exam.axes.of_training("red_team") is not None
    if not arms and not labelled:
        return []
    drawn = Node(
        draw_hard_cases,
        inputs=["policy_judgements", "policy_prompts", "judge", PARAMS, SEED],
        outputs="hard_test_cases",
        name="draw_hard_cases",
    )
    to_label = Node(
        pairs_to_label, inputs=["hard_test_cases", AXES, SEED], outputs="hard_pairs", name="choose_pairs_to_label"
    )
    scored = [
        Node(
            score_test_cases_of(arm),
            inputs=["hard_test_cases", f"{arm}.preference.model@checkpoint", PARAMS],
            outputs=f"{arm}_hard_test_scores",
            name=f"score_hard_cases_of_{arm}",
        )
        for arm in arms
    ]
    measured = Node(
        measure_hard_tests_of(tuple(arms)),
        inputs={
            "cases": "hard_test_cases",
            **({"hard_comparisons": "hard_comparisons"} if labelled else {}),
            **{arm: f"{arm}_hard_test_scores" for arm in arms},
        },
        outputs=["hard_test_accuracy", "hard_test_metrics"],
        name="measure_hard_tests",
    )
    return [drawn, *([to_label] if labelled else []), *scored, measured]


def rater_agreement(exam: Exam, made_before: Collection[str]) -> list[Node]:
    """Return the node of how far people agree, where they label pairs of the run."""
    asked = {"harmlessness": "human_red_team_pairs", "helpfulness": "human_helpful_pairs"}
    pairs = {objective: table for objective, table in asked.items() if table in made_before}
    if not pairs or not exam.raters:
        return []
    measured = Node(
        measure_rater_agreement,
        inputs={"human_raters": "human_raters", "params": PARAMS, "seed": SEED, **pairs},
        outputs="rater_agreement_metrics",
        name="measure_rater_agreement",
        tags="human_feedback",
    )
    return [measured]


def preference_models(arms: Sequence[str]) -> list[Node]:
    """Return the nodes of the preference models on the judge's test pairs."""
    if not arms:
        return []
    return [
        Node(make_test_cases, inputs=["judge", PARAMS, SEED], outputs="preference_test_cases", name="make_test_cases"),
        *(
            Node(
                score_test_cases_of(arm),
                inputs=["preference_test_cases", f"{arm}.preference.model@checkpoint", PARAMS],
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
