"""Stage 4 of SELF-ALIGN: verbose answers of the engraved model are cloned into the base model."""

from cai_kedro.pipelines.self_align.cloning.pipeline import create_pipeline

__all__ = ["create_pipeline"]
