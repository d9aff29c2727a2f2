"""Stage 3 of SELF-ALIGN: the answers are engraved in the base model, without rules, examples and thoughts."""

from cai_kedro.pipelines.self_align.engraving.pipeline import create_pipeline

__all__ = ["create_pipeline"]
