"""The pipelines, in the order in which one row travels."""

from kedro.pipeline import Pipeline

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
    sl_cai,
)


def register_pipelines() -> dict[str, Pipeline]:
    """Return every pipeline by name, for the lineage of the last context."""
    return pipelines_of(GRAPH.lineage)


def pipelines_of(lineage: Lineage) -> dict[str, Pipeline]:
    """Return the pipelines of a lineage; `__default__` is the method, without what is asked of a finished run or files.

    The ablations are there where all that they vary is there.
    """
    pipelines = {
        "base_model": base_model.create_pipeline(lineage),
        "baselines": baselines.create_pipeline(lineage),
        "data_generation": data_generation.create_pipeline(lineage),
        "sl_cai": sl_cai.create_pipeline(lineage),
        "preference_labeling": preference_labeling.create_pipeline(lineage),
        "rl_cai": rl_cai.create_pipeline(lineage),
        "evaluation": evaluation.create_pipeline(lineage),
        "reporting": reporting.create_pipeline(lineage),
    }
    on_request = {
        "check_labeller": data_generation.check_pipeline(lineage) + preference_labeling.check_pipeline(lineage),
        "judge_accuracy": judge_accuracy.create_pipeline(),
    }
    if ablations.can_vary(lineage):
        on_request["ablations"] = ablations.create_pipeline(pipelines)
    return {**pipelines, **on_request, "__default__": sum(pipelines.values(), start=Pipeline([]))}
