"""Preference model and RL on one set of comparisons: a pipeline template, instantiated once per arm."""

from cai_kedro.templates.rlhf.pipeline import create_pipeline

__all__ = ["create_pipeline"]
