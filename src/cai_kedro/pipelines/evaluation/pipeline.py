"""The wiring of the evaluation: what has no judge, no referee or no input is not run."""

from collections.abc import Collection

from kedro.pipeline import Node, Pipeline

from cai_kedro.core.exam import Exam
from cai_kedro.core.lineage import Lineage
from cai_kedro.pipelines.evaluation.not_measured import missing_of, tell_not_measured_of
from cai_kedro.pipelines.evaluation.ratings import summarise
from cai_kedro.pipelines.evaluation.wiring import behaviour, labels, policies, training
from cai_kedro.pipelines.evaluation.wiring.names import AXES, PARAMS


def create_pipeline(lineage: Lineage, exam: Exam, made_before: Collection[str]) -> Pipeline:
    """From every model and table of the run to its metrics and the summary table, as far as somebody can decide.

    `made_before` are the datasets that the pipelines before make.
    """
    parts = [*policies.answers(lineage, exam.axes), policies.benchmarks(lineage)]
    scoring = [arm for arm in lineage.arms if f"{arm}.preference.model" in made_before]
    parts += [
        *training.snapshot_answers(lineage.arms),
        *labels.labels(lineage, exam, made_before),
        *behaviour.revisions(lineage, exam, made_before),
    ]
    if exam.deciders:
        parts += policies.elo(lineage, exam.deciders)
        parts += training.snapshot_elo(lineage, exam.deciders)
    if exam.judge:
        parts += [
            *behaviour.behaviour(exam.axes),
            *behaviour.verbose_tax(lineage),
            *training.snapshot_judgements(lineage.arms),
            *labels.preference_models(scoring),
            *labels.hard_tests(lineage, exam, made_before, scoring),
        ]
    parts += labels.rater_agreement(exam, made_before)
    parts += training.over_training(lineage, exam)
    parts += training.absolute_harmfulness(lineage, exam, made_before)
    made = {name for node in parts for name in node.outputs}
    return Pipeline(
        [*parts, _summary(made), _not_measured({*made, *made_before}, missing_of(lineage, exam, scoring), exam)],
        namespace="evaluation",
        prefix_datasets_with_namespace=False,
    )


def _summary(made: set[str]) -> Node:
    measured = {name for name in ("elo_metrics", "elo_gap_metrics", "behaviour_metrics") if name in made}
    return Node(
        summarise,
        inputs={
            "policy_responses": "policy_responses",
            "params": PARAMS,
            "axes": AXES,
            **{name: name for name in sorted(measured)},
        },
        outputs="policy_summary",
        name="summarise",
    )


def _not_measured(made: set[str], missing: dict[str, str], exam: Exam) -> Node:
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
            "evaluation.over_training_metrics",
            "critic_check_metrics",
            "labeller_check_metrics",
        )
        if name in made
    }
    return Node(
        tell_not_measured_of(missing, [axis for axes in exam.deciders.values() for axis in axes]),
        inputs={"axes": AXES, **looked_at},
        outputs="not_measured",
        name="tell_not_measured",
    )
