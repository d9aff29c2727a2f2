"""Arms share their parameters and say where they differ."""

import pytest
from pydantic import ValidationError

from cai_kedro.learning.rl.ppo import PPOParams
from cai_kedro.templates.rlhf.parameters import ArmParams, RLHFParams, parameters_of


def test_an_arm_without_differences_has_the_shared_parameters(rlhf_params: RLHFParams) -> None:
    found = parameters_of(ArmParams(name="hh_rlhf", algorithm="ppo", differences={}), rlhf_params)
    shared = ("comparisons", "labels", "preference", "gate", "prompts", "snapshots")
    assert [getattr(found, block) for block in shared] == [getattr(rlhf_params, block) for block in shared]
    assert found.rl == rlhf_params.rl.ppo


def test_a_difference_replaces_one_value_and_no_other(rlhf_params: RLHFParams) -> None:
    found = parameters_of(ArmParams(name="rl_cai", algorithm="ppo", differences={"rl": {"kl_coef": 0.15}}), rlhf_params)
    assert isinstance(found.rl, PPOParams)
    assert found.rl.kl_coef == 0.15
    assert found.rl.model_copy(update={"kl_coef": 0.1}) == rlhf_params.rl.ppo


def test_an_arm_that_learns_by_another_algorithm_has_its_parameters(rlhf_params: RLHFParams) -> None:
    arm = ArmParams(name="rl_cai_dpo", algorithm="dpo", differences={"rl": {"beta": 0.3}})
    assert parameters_of(arm, rlhf_params).rl == rlhf_params.rl.dpo.model_copy(update={"beta": 0.3})
    assert not arm.has_preference_model


@pytest.mark.parametrize(("algorithm", "found"), [("ppo", (4e-4, 1.0)), ("rloo", (4e-4, None))])
def test_a_difference_of_one_algorithm_is_left_by_another(
    algorithm: str, found: tuple[float, float | None], rlhf_params: RLHFParams
) -> None:
    """So `lineage.algorithm=rloo` needs no other lineage."""
    differences = {"rl": {"learning_rate": 4e-4}, "ppo": {"gae_lambda": 1.0}}
    rl = parameters_of(ArmParams(name="rl_cai", algorithm=algorithm, differences=differences), rlhf_params).rl
    assert (rl.learning_rate, getattr(rl, "gae_lambda", None)) == found


@pytest.mark.parametrize(
    ("algorithm", "differences", "told"),
    [
        ("dpo", {"rl": {"rollouts": 3}}, r"'rollouts' is not among the parameters of dpo, rlhf.rl.dpo \(.*beta.*\)"),
        ("rloo", {"rl": {"vf_coef": 3}}, "'vf_coef' is not among the parameters of rloo, "),
        ("grpo", {"rl": {"kl_horizon": 1.0}}, "of grpo, .*; take it away; each algorithm has its own"),
        ("reinforce", {}, "there is no algorithm 'reinforce', only ppo, rloo, grpo, dpo"),
        ("dppo", {}, "did you mean 'ppo'"),
    ],
)
def test_what_another_algorithm_has_is_refused(algorithm: str, differences: dict, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        ArmParams(name="rl_cai", algorithm=algorithm, differences=differences)


@pytest.mark.parametrize(
    ("differences", "told"),
    [
        ({"rll": {"kl_coef": 0.1}}, "'rll' is not among the blocks of rlhf .* did you mean 'rl'"),
        (
            {"rl": {"kl_coeff": 0.1}},
            "'kl_coeff' is not among the parameters of ppo, .* did you mean 'kl_coef'",
        ),
        ({"ppo": {"gae_lamda": 1.0}}, "'gae_lamda' is not among the parameters of ppo, .* did you mean 'gae_lambda'"),
        ({"rloo": {"gae_lambda": 1.0}}, "'gae_lambda' is not among the parameters of rloo, "),
        ({"rl": {"kl_coef": "much"}}, "valid number"),
        ({"rl": {"kl_coef": -0.1}}, "greater than or equal to 0"),
    ],
)
def test_a_wrong_difference_is_refused_before_the_run(differences: dict, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        ArmParams(name="rl_cai", algorithm="ppo", differences=differences)


def test_differences_that_do_not_fit_together_are_refused(rlhf_params: RLHFParams) -> None:
    with pytest.raises(ValidationError, match="minibatch_size=64 is larger"):
        parameters_of(
            ArmParams(name="rl_cai", algorithm="ppo", differences={"rl": {"minibatch_size": 64}}), rlhf_params
        )
