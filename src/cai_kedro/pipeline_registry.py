"""The pipelines, in the order in which one row travels."""

from kedro.pipeline import Pipeline

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
    """Return every pipeline by name; `__default__` is the method, without what is asked of a finished run or files."""
    pipelines = {
        "base_model": base_model.create_pipeline(),
        "baselines": baselines.create_pipeline(),
        "data_generation": data_generation.create_pipeline(),
        "sl_cai": sl_cai.create_pipeline(),
        "preference_labeling": preference_labeling.create_pipeline(),
        "rl_cai": rl_cai.create_pipeline(),
        "evaluation": evaluation.create_pipeline(),
        "reporting": reporting.create_pipeline(),
    }
    on_request = {"judge_accuracy": judge_accuracy.create_pipeline(), "ablations": ablations.create_pipeline(pipelines)}
    return {**pipelines, **on_request, "__default__": sum(pipelines.values(), start=Pipeline([]))}
