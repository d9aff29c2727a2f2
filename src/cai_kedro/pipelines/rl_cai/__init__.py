"""RL-CAI: reinforcement learning from AI feedback on harmlessness, without and with chain of thought (§4)."""

from cai_kedro.pipelines.rl_cai.pipeline import create_pipeline

__all__ = ["create_pipeline"]
