"""What came of it: answers, judgements, Elo ratings, revisions, labels and preference models (§3.3, §4.3)."""

from cai_kedro.pipelines.evaluation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
