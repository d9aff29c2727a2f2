"""SELF-ALIGN: from a base model, rules and a few worked examples to a policy, without human labels."""

from cai_kedro.pipelines.self_align.pipeline import create_pipeline

__all__ = ["create_pipeline"]
