"""The pipelines, in the order in which one row travels."""

from kedro.pipeline import Pipeline

from cai_kedro.pipelines import (
    ablations,
    base_model,
    baselines,
    data_generation,
    evaluation,
    preference_labeling,
    rl_cai,
    sl_cai,
)


def register_pipelines() -> dict[str, Pipeline]:
    """Return every pipeline by name; `__default__` is all of them but the ablations, which look at a finished run."""
    pipelines = {
        "base_model": base_model.create_pipeline(),
        "baselines": baselines.create_pipeline(),
        "data_generation": data_generation.create_pipeline(),
        "sl_cai": sl_cai.create_pipeline(),
        "preference_labeling": preference_labeling.create_pipeline(),
        "rl_cai": rl_cai.create_pipeline(),
        "evaluation": evaluation.create_pipeline(),
    }
    return {
        **pipelines,
        "ablations": ablations.create_pipeline(pipelines),
        "__default__": sum(pipelines.values(), start=Pipeline([])),
    }
