"""Preference labels by a model that reads the constitution, without and with chain of thought (§4.1)."""

from cai_kedro.pipelines.preference_labeling.pipeline import check_pipeline, create_pipeline, hard_pairs_pipeline

__all__ = ["check_pipeline", "create_pipeline", "hard_pairs_pipeline"]
