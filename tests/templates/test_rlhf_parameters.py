"""Arms share their parameters and say where they differ."""

import pytest
from pydantic import ValidationError

from cai_kedro.templates.rlhf.parameters import ArmParams, RLHFParams, parameters_of


def test_an_arm_without_differences_has_the_shared_parameters(rlhf_params: RLHFParams) -> None:
    assert parameters_of(ArmParams(name="hh_rlhf", differences={}), rlhf_params) == rlhf_params


def test_a_difference_replaces_one_value_and_no_other(rlhf_params: RLHFParams) -> None:
    found = parameters_of(ArmParams(name="rl_cai", differences={"rl": {"kl_coef": 0.15}}), rlhf_params)
    assert found.rl.kl_coef == 0.15
    assert found.model_copy(update={"rl": rlhf_params.rl}) == rlhf_params
    assert found.rl.model_copy(update={"kl_coef": 0.1}) == rlhf_params.rl


@pytest.mark.parametrize(
    ("differences", "told"),
    [
        ({"rll": {"kl_coef": 0.1}}, "'rll' is not among the blocks of rlhf .* did you mean 'rl'"),
        ({"rl": {"kl_coeff": 0.1}}, "'kl_coeff' is not among the parameters of rlhf.rl .* did you mean 'kl_coef'"),
        ({"rl": {"kl_coef": "much"}}, "valid number"),
        ({"rl": {"kl_coef": -0.1}}, "greater than or equal to 0"),
    ],
)
def test_a_wrong_difference_is_refused_before_the_run(differences: dict, told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        ArmParams(name="rl_cai", differences=differences)


def test_differences_that_do_not_fit_together_are_refused(rlhf_params: RLHFParams) -> None:
    with pytest.raises(ValidationError, match="minibatch_size=64 is larger"):
        parameters_of(ArmParams(name="rl_cai", differences={"rl": {"minibatch_size": 64}}), rlhf_params)
