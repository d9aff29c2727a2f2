"""The two arms that learn from AI feedback."""

from kedro.pipeline import Pipeline

from cai_kedro.templates import rlhf


def create_pipeline() -> Pipeline:
    """Mix AI comparisons of harmlessness with human ones of helpfulness; RL starts from SL-CAI."""
    return _arm("rl_cai", "ai_comparisons") + _arm("rl_cai_cot", "ai_cot_comparisons")


def _arm(name: str, ai_comparisons: str) -> Pipeline:
    return rlhf.create_pipeline(
        name,
        comparisons=[ai_comparisons, "human_helpfulness_comparisons", "sl_helpfulness_comparisons"],
        start="sl_cai.model",
        red_team_prompts="red_team_prompts",
        helpful_prompts="helpful_prompts",
    )
