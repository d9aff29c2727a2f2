"""How good AI labels and the preference models behind a policy are."""

from collections.abc import Collection, Sequence

from kedro.pipeline import Node

from cai_kedro.core.exam import Exam
from cai_kedro.core.lineage import Lineage
from cai_kedro.pipelines.evaluation.labels import (
    make_test_cases,
    measure_labels,
    measure_preference_models,
    score_test_cases_of,
    tabulate_reliability,
)
from cai_kedro.pipelines.evaluation.wiring.names import PARAMS, SEED


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
