"""The arms that learn from AI feedback, or from answers of the supervised policy."""

from kedro.pipeline import Pipeline

from cai_kedro.core.lineage import Lineage
from cai_kedro.templates import rlhf


def create_pipeline(lineage: Lineage) -> Pipeline:
    """Mix the comparisons that the lineage names; RL starts where it says."""
    return rlhf.arms_pipeline(lineage, lineage.ai_arms)
