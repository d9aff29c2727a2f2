"""Red-team prompts, initial responses, critiques and revisions: the data of the supervised stage (§3.1, §3.2)."""

from cai_kedro.pipelines.data_generation.pipeline import check_pipeline, create_pipeline

__all__ = ["check_pipeline", "create_pipeline"]
