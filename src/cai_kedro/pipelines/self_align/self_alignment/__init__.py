"""Stage 2 of SELF-ALIGN: the base model thinks which rules apply, and answers under them."""

from cai_kedro.pipelines.self_align.self_alignment.pipeline import create_pipeline

__all__ = ["create_pipeline"]
