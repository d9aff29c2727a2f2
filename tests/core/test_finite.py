"""What is no number is named, with where it arose."""

import math

import pytest
import torch

from cai_kedro.core.finite import check_scores, check_step, check_weights

BAD = [math.nan, math.inf, -math.inf]


@pytest.mark.parametrize("value", BAD)
def test_a_step_names_quantity_value_step_and_learning_rate(value: float) -> None:
    check_step("fine-tuning", 7, 0.5, {"loss": 1e30, "gradient norm": 0.0})
    told = rf"^fine-tuning: the gradient norm is {value} at step 7 with learning rate 0\.5.*lower the learning rate"
    with pytest.raises(ValueError, match=told):
        check_step("fine-tuning", 7, 0.5, {"loss": 1.0, "gradient norm": value})


@pytest.mark.parametrize("value", BAD)
def test_weights_and_scores(value: float) -> None:
    weights = {"a": torch.zeros(3), "count": torch.tensor([3]), "b": torch.tensor([0.0, value])}
    with pytest.raises(ValueError, match=r"^PPO: 1 of 3 weights hold values that are not finite, 'b' first"):
        check_weights("PPO", weights.items())
    with pytest.raises(ValueError, match=r"^the PM gave 1 of 2 answers a score that is not finite"):
        check_scores("the PM", weights["b"])
    weights["b"].zero_()
    check_weights("PPO", weights.items())
    check_scores("the PM", weights["b"])
