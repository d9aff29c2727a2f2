"""Preference model and RL on one set of comparisons: a pipeline template, instantiated once per arm."""

from cai_kedro.templates.rlhf.pipeline import arms_pipeline, create_pipeline

__all__ = ["arms_pipeline", "create_pipeline"]
