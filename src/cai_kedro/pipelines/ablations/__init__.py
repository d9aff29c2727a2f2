"""What each part of the method is worth: the same nodes again, one thing changed (F6, F7). Not in the default run."""

from cai_kedro.pipelines.ablations.pipeline import can_vary, create_pipeline

__all__ = ["can_vary", "create_pipeline"]
