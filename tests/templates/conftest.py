"""The shared parameters of the RLHF template, small."""

from typing import Any

import pytest

from cai_kedro.templates.rlhf.parameters import RLHFParams

TRAINING: dict[str, Any] = {"device": "cpu", "dtype": "float32", "learning_rate": 1e-3, "max_grad_norm": 1.0}
REPLIES: dict[str, Any] = {"max_new_tokens": 4, "temperature": 1.0, "max_batch_tokens": 1024, "snapshot_every": 1}
ROLLOUTS: dict[str, Any] = {
    **TRAINING,
    **REPLIES,
    "rollouts": 1,
    "prompts_per_rollout": 2,
    "samples_per_prompt": 2,
    "ppo_epochs": 1,
    "minibatch_size": 2,
    "warmup_rollouts": 0,
    "clip_range": 0.2,
    "center_scores": True,
    "scale_rewards": True,
    "kl_coef": 0.1,
    "missing_eos_penalty": 0.0,
}
SHARED: dict[str, Any] = {
    "comparisons": {"limits": {}},
    "labels": {"min_spread": 0.02, "max_contradictions": 0.75},
    "preference": {
        **TRAINING,
        "epochs": 1,
        "batch_size": 4,
        "warmup_steps": 0,
        "weight_decay": 0.0,
        "max_length": 256,
        "log_every": 1,
        "head_std": 0.1,
    },
    "gate": {"held_out_share": 0.5, "min_accuracy": 0.7, "batch_size": 8},
    "judge": {"few_shots": 0, "max_log_odds": 4.0},
    "prompts": {"red_team": None, "helpful": 2},
    "rl": {
        "ppo": {
            **ROLLOUTS,
            "value_learning_rate": 1e-3,
            "value_clip_range": 0.2,
            "vf_coef": 0.5,
            "value_trunk_gradient": 0.0,
            "gamma": 1.0,
            "gae_lambda": 0.95,
            "whiten_advantages": True,
            "kl_target": None,
            "kl_horizon": 100.0,
        },
        "rloo": ROLLOUTS,
        "grpo": ROLLOUTS,
        "dpo": {
            **TRAINING,
            **REPLIES,
            "epochs": 1,
            "batch_size": 4,
            "warmup_steps": 0,
            "weight_decay": 0.0,
            "max_length": 256,
            "log_every": 1,
            "beta": 0.1,
        },
    },
    "snapshots": {
        "keep": "best",
        "prompts": None,
        "max_kl": 10.0,
        "min_eos_rate": 0.0,
        "min_distinct": 0.0,
        "max_evasive_rise": 1.0,
        "max_repeated_rise": 0.2,
        "max_alike_rise": 0.4,
        "min_length": 0.25,
        "max_length": 4.0,
        "n_bootstrap": 100,
    },
}


@pytest.fixture
def rlhf_params() -> RLHFParams:
    """What all arms share."""
    return RLHFParams.model_validate(SHARED)
