"""The soft-target loss against values by hand and finite differences."""

import math

import pytest
import torch
from torch.nn import functional

from cai_kedro.learning.preference_loss import pairwise_correct, soft_label_term, soft_preference_loss


def test_value_by_hand() -> None:
    # sigmoid(ln 3) = 3/4, so the loss of p = 0.9 is -(0.9 ln(3/4) + 0.1 ln(1/4))
    loss = soft_preference_loss(torch.tensor([math.log(3)]), torch.tensor([0.9]))
    assert loss.item() == pytest.approx(-(0.9 * math.log(0.75) + 0.1 * math.log(0.25)), abs=1e-6)
    assert loss.item() == pytest.approx(0.397543, abs=1e-6)


def test_mean_over_comparisons_and_hard_labels() -> None:
    # hard labels: -ln sigmoid(d) for A, -ln sigmoid(-d) for B; here both see odds of 3 : 1 against them
    loss = soft_preference_loss(torch.tensor([-math.log(3), math.log(3)]), torch.tensor([1.0, 0.0]))
    assert loss.item() == pytest.approx(math.log(4), abs=1e-6)


def test_smallest_where_the_model_says_what_the_label_says() -> None:
    difference = torch.tensor([math.log(0.9 / 0.1)], requires_grad=True)
    soft_preference_loss(difference, torch.tensor([0.9])).backward()
    assert difference.grad is not None
    assert difference.grad.item() == pytest.approx(0, abs=1e-6)


def test_gradient_against_finite_differences() -> None:
    difference = torch.tensor([-2.0, -0.3, 0.0, 1.7], dtype=torch.float64, requires_grad=True)
    p = torch.tensor([0.0, 0.4, 0.5, 0.95], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda d: soft_preference_loss(d, p), (difference,))
    assert torch.autograd.gradcheck(lambda d: soft_label_term(d, p), (difference,))


def test_the_term_completes_the_loss_of_a_always_chosen() -> None:
    difference = torch.tensor([-3.0, -0.2, 0.0, 0.9, 40.0])
    p = torch.tensor([0.1, 0.5, 0.7, 1.0, 0.99])
    a_chosen = -functional.logsigmoid(difference).mean()
    expected = functional.binary_cross_entropy_with_logits(difference, p)
    assert torch.allclose(a_chosen + soft_label_term(difference, p), expected)
    assert torch.allclose(soft_preference_loss(difference, p), expected)


def test_pairwise_correct() -> None:
    difference = torch.tensor([2.0, 2.0, -1.0, -1.0, 0.0, 3.0])
    p = torch.tensor([0.6, 0.4, 0.6, 0.0, 1.0, 0.5])
    assert pairwise_correct(difference, p).tolist() == [1.0, 0.0, 0.0, 1.0, 0.5, 0.5]
