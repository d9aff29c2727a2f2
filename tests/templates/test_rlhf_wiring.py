"""One template, one set of names per arm."""

from cai_kedro.templates import rlhf
from cai_kedro.templates.rlhf.parameters import ArmParams


def test_an_arm_bears_its_name_and_shares_the_rest() -> None:
    arm = rlhf.create_pipeline(
        ArmParams(name="rl_cai", algorithm="ppo", differences={}),
        base="pretrained.model",
        comparisons=["ai_comparisons", "human_comparisons"],
        start="sl_cai.model",
        red_team_prompts="red_team_prompts",
        helpful_prompts="helpful_prompts",
    )
    assert arm.inputs() == {
        "ai_comparisons",
        "human_comparisons",
        "red_team_prompts",
        "helpful_prompts",
        "pretrained.model@checkpoint",
        "sl_cai.model@checkpoint",
        "params:rlhf",
        "params:training",
        "params:seed",
    }
    assert arm.all_outputs() == {
        "rl_cai.mixed_comparisons",
        "rl_cai.preference.model@checkpoint",
        "rl_cai.preference_curves",
        "rl_cai.preference_metrics",
        "rl_cai.rl_prompts",
        "rl_cai.policy.model@checkpoint",
        "rl_cai.snapshots@checkpoint",
        "rl_cai.policy_curves",
        "rl_cai.snapshot_signals",
        "rl_cai.snapshot_choice",
    }
    assert {node.name for node in arm.nodes} == {
        "rl_cai.mix_comparisons",
        "rl_cai.fit_preference_model",
        "rl_cai.measure_preference_model",
        "rl_cai.gather_rl_prompts",
        "rl_cai.reinforce",
        "rl_cai.measure_snapshots",
        "rl_cai.keep_snapshot",
    }
