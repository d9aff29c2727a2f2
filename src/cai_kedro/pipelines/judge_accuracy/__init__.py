"""How often judges and preference models agree with real comparisons (§2 and figure 4)."""

from cai_kedro.pipelines.judge_accuracy.pipeline import create_pipeline

__all__ = ["create_pipeline"]
