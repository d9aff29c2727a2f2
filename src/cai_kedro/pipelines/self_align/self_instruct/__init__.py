"""Stage 1 of SELF-ALIGN: the base model makes up questions, on topics that try it hard and after seed tasks."""

from cai_kedro.pipelines.self_align.self_instruct.pipeline import create_pipeline

__all__ = ["create_pipeline"]
