"""The pipelines, in the order in which one row travels."""

from collections.abc import Mapping

from kedro.pipeline import Pipeline

from cai_kedro.core.exam import Exam
from cai_kedro.core.lineage import Lineage
from cai_kedro.hooks import GRAPH
from cai_kedro.pipelines import (
    ablations,
    base_model,
    baselines,
    data_generation,
    evaluation,
    judge_accuracy,
    preference_labeling,
    reporting,
    rl_cai,
    self_align,
    sl_cai,
    teach_skills,
)
from cai_kedro.pipelines.self_align import leave_one_out


def register_pipelines() -> dict[str, Pipeline]:
    """Return every pipeline by name, for the lineage and the exam of the last context."""
    return pipelines_of(GRAPH.lineage, GRAPH.exam)


def pipelines_of(lineage: Lineage, exam: Exam) -> dict[str, Pipeline]:
    """Return the pipelines of a lineage; `__default__` is the method, without what is asked of a finished run or files.

    SELF-ALIGN is part of the method where the lineage has a policy of it, and else runs on request.

    What is evaluated and reported follows from what the pipelines before make, and from who decides in the `exam`. The
    ablations, and leaving out one rule of SELF-ALIGN at a time, are there where all that they vary is there.
    """
    pipelines = {
        "base_model": base_model.create_pipeline(lineage),
        "baselines": baselines.create_pipeline(lineage),
        "data_generation": data_generation.create_pipeline(lineage, exam.axes),
        "sl_cai": sl_cai.create_pipeline(lineage),
        "preference_labeling": preference_labeling.create_pipeline(lineage),
    }
    self_aligned = {"self_align": self_align.create_pipeline(lineage, exam.axes)}
    is_asked_for = {*lineage.self_aligned.values()} & {*lineage.present}
    pipelines |= {**(self_aligned if is_asked_for else {}), "rl_cai": rl_cai.create_pipeline(lineage)}
    pipelines["evaluation"] = _with_labels(evaluation.create_pipeline(lineage, exam, _made_by(pipelines)), lineage)
    pipelines["reporting"] = reporting.create_pipeline(lineage, exam.axes, _made_by(pipelines))
    on_request = {
        "check_labeller": data_generation.check_pipeline(lineage) + preference_labeling.check_pipeline(lineage),
        "judge_accuracy": judge_accuracy.create_pipeline(),
        "teach_skills": base_model.untaught_pipeline() + teach_skills.create_pipeline(),
        **({} if is_asked_for else self_aligned),
    }
    if leave_one_out.can_leave_out(lineage, exam):
        on_request["leave_one_rule_out"] = leave_one_out.create_pipeline(lineage)
    if ablations.can_vary(lineage, exam):
        on_request["ablations"] = ablations.create_pipeline(pipelines)
    return {**pipelines, **on_request, "__default__": sum(pipelines.values(), start=Pipeline([]))}


def _with_labels(evaluated: Pipeline, lineage: Lineage) -> Pipeline:
    """Add to the evaluation that the labeller labels the pairs it is tested on, where it is."""
    asked = "hard_pairs" in evaluated.all_outputs()
    return evaluated + preference_labeling.hard_pairs_pipeline(lineage) if asked else evaluated


def _made_by(pipelines: Mapping[str, Pipeline]) -> frozenset[str]:
    """Return the datasets that some pipeline makes, models without the way that they are held in."""
    return frozenset(name.partition("@")[0] for pipeline in pipelines.values() for name in pipeline.all_outputs())
