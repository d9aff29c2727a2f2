"""From one set of comparisons to a policy, by the arm's algorithm: a pipeline template, instantiated once per arm."""

from cai_kedro.templates.rlhf.parameters import arms_with_preference_model, step_unit
from cai_kedro.templates.rlhf.pipeline import arms_pipeline, create_pipeline

__all__ = ["arms_pipeline", "arms_with_preference_model", "create_pipeline", "step_unit"]
