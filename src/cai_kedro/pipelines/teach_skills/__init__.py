"""Teaching a small model the skills of the method: an adapter, and what it can do along the way."""

from cai_kedro.pipelines.teach_skills.pipeline import create_pipeline

__all__ = ["create_pipeline"]
