"""SL-CAI: the pretrained model, fine-tuned on revisions and helpful answers (§3.2)."""

from cai_kedro.pipelines.sl_cai.pipeline import create_pipeline

__all__ = ["create_pipeline"]
