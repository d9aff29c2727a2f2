"""The RLHF baselines: trained on human labels alone, without the constitution (§4.4)."""

from cai_kedro.pipelines.baselines.pipeline import create_pipeline

__all__ = ["create_pipeline"]
