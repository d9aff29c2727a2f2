"""Each formula against a value derived by hand, and against finite differences where it has a gradient."""

import math

import pytest
import torch
from torch import Tensor

from cai_kedro.learning.rl import ppo_math as m


def t(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


MASK = t([1, 1, 1], [1, 1, 0])


def random_like_mask(seed: int) -> Tensor:
    return torch.randn(MASK.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_mean_and_variance_leave_padding_out() -> None:
    values = t([1, 2, 3], [4, 5, 99])
    assert m.masked_mean(values, MASK).item() == pytest.approx(3.0)
    # squares of -2, -1, 0, 1, 2 over five tokens
    assert m.masked_variance(values, MASK).item() == pytest.approx(10 / 5)


def test_whitened_values_have_mean_zero_and_variance_one() -> None:
    white = m.masked_whiten(t([1, 2, 3], [4, 5, 99]), MASK)
    expected = torch.tensor([-2, -1, 0, 1, 2, 0], dtype=torch.float64) / math.sqrt(2)
    assert torch.allclose(white.flatten(), expected, atol=1e-7)


def test_whitening_keeps_equal_values_finite() -> None:
    assert torch.equal(m.masked_whiten(t([2, 2, 2], [2, 2, 7]), MASK), torch.zeros_like(MASK))


def test_sequence_kl_sums_each_reply() -> None:
    kl = m.sequence_kl(t([-1, -2, -3], [-1, -1, 50]), t([-2, -2, -1], [-1.5, -3, 0]), MASK)
    assert kl.tolist() == pytest.approx([1 + 0 - 2, 0.5 + 2])


def test_token_rewards_by_hand() -> None:
    logprobs, reference = t([-1, -2, -3], [-1, -1, 50]), t([-2, -2, -1], [-1.5, -3, 0])
    rewards = m.token_rewards(torch.tensor([10.0, -4.0]).double(), logprobs, reference, MASK, kl_coef=0.1)
    assert rewards[0].tolist() == pytest.approx([-0.1, 0.0, 10 + 0.2])
    assert rewards[1].tolist() == pytest.approx([-0.05, -4 - 0.2, 0.0])


def test_token_rewards_add_up_to_score_minus_kl() -> None:
    scores, logprobs, reference = torch.tensor([0.3, -1.2]).double(), random_like_mask(0), random_like_mask(1)
    total = m.token_rewards(scores, logprobs, reference, MASK, 0.7).sum(1)
    assert torch.allclose(total, scores - 0.7 * m.sequence_kl(logprobs, reference, MASK))


def test_advantages_by_hand() -> None:
    # gamma .9, lambda .5; row 1: deltas 1 + .9*1 - .5 = 1.4, 0 + .9*2 - 1 = .8, 3 - 2 = 1
    # A_3 = 1, A_2 = .8 + .45*1 = 1.25, A_1 = 1.4 + .45*1.25 = 1.9625
    # row 2: the reply ends at its second token: deltas .9*4 - 1 = 2.6 and 2 - 4 = -2; A_2 = -2, A_1 = 2.6 - .9 = 1.7
    advantages, returns = m.generalised_advantages(t([1, 0, 3], [0, 2, 7]), t([0.5, 1, 2], [1, 4, 9]), MASK, 0.9, 0.5)
    assert advantages[0].tolist() == pytest.approx([1.9625, 1.25, 1.0])
    assert advantages[1].tolist() == pytest.approx([1.7, -2.0, 0.0])
    assert returns[0].tolist() == pytest.approx([2.4625, 2.25, 3.0])
    assert returns[1].tolist() == pytest.approx([2.7, 2.0, 0.0])


def test_lambda_one_gives_the_rest_of_the_reward_as_return() -> None:
    rewards, values = random_like_mask(2) * MASK, random_like_mask(3)
    _, returns = m.generalised_advantages(rewards, values, MASK, 1.0, 1.0)
    assert torch.allclose(returns, rewards.flip(1).cumsum(1).flip(1) * MASK)


def test_lambda_zero_gives_the_one_step_error() -> None:
    advantages, _ = m.generalised_advantages(t([1, 0, 3]), t([0.5, 1, 2]), t([1, 1, 1]), 1.0, 0.0)
    assert advantages[0].tolist() == pytest.approx([1.5, 1.0, 1.0])


def test_policy_loss_by_hand() -> None:
    ratios, advantages = t([2.0, 2.0, 1.5], [0.5, 0.5, 9.0]), t([1.0, -1.0, 1.0], [1.0, -1.0, 9.0])
    old = t([-1.0, -2.0, -0.5], [-3.0, -1.5, -9.0])
    # min(2, 1.2), min(-2, -1.2), min(1.5, 1.2), min(.5, .8), min(-.5, -.8): the clip binds at the 1st, 3rd and 5th
    expected = -(1.2 - 2.0 + 1.2 + 0.5 - 0.8) / 5
    loss, clipped = m.clipped_policy_loss(old + ratios.log(), old, advantages, MASK, 0.2)
    assert loss.item() == pytest.approx(expected)
    assert clipped.item() == pytest.approx(3 / 5)


def test_a_step_down_the_policy_loss_makes_good_tokens_likelier() -> None:
    logprobs = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    loss, _ = m.clipped_policy_loss(logprobs, torch.zeros(1, 2), t([3.0, -1.0]), t([1, 1]), 0.2)
    loss.backward()
    assert logprobs.grad is not None
    # at rho = 1 the gradient is -A / number of tokens
    assert logprobs.grad[0].tolist() == pytest.approx([-1.5, 0.5])


def test_value_loss_by_hand() -> None:
    values, old = t([3.0, 1.9, 1.0], [-1.0, 2.0, 9.0]), t([0.0, 1.0, 1.0], [0.0, 2.0, 0.0])
    returns = t([4.0, 3.0, 0.5], [0.0, 5.0, 0.0])
    # clip .5: 3 -> .5 (12.25 over 1) and 1.9 -> 1.5 (2.25 over 1.21) bind; 1 stays (.25); -1 -> -.5 (.25 under 1, which
    # counts); 2 stays (9)
    loss, clipped = m.clipped_value_loss(values, old, returns, MASK, 0.5)
    assert loss.item() == pytest.approx(0.5 * (12.25 + 2.25 + 0.25 + 1.0 + 9.0) / 5)
    assert clipped.item() == pytest.approx(2 / 5)


def test_a_value_that_moves_within_the_range_is_never_clipped() -> None:
    """In single precision old + (value - old) is often not the value."""
    old, values, returns = (torch.randn(1, 1000, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2, 3))
    assert (old + (values - old) != values).any()
    assert m.clipped_value_loss(values, old, returns, torch.ones(1, 1000), 100.0)[1] == 0


def test_approximate_kl_by_hand() -> None:
    old = t([-1.0, -2.0, -0.5], [-3.0, -1.5, -9.0])
    ratios = t([2.0, 1.0, 1.0], [0.25, 1.0, 7.0])
    # 2 - 1 - log 2 and 1/4 - 1 + 2 log 2
    kl = m.approximate_kl(old + ratios.log(), old, MASK)
    assert kl.item() == pytest.approx((0.25 + math.log(2)) / 5)


@pytest.mark.parametrize(
    ("kl", "expected"),
    [
        (6.0, 0.5),  # on target
        (6.6, 0.5 * (1 + 0.1 * 0.25)),  # error +.1
        (5.4, 0.5 * (1 - 0.1 * 0.25)),  # error -.1
        (60.0, 0.5 * (1 + 0.2 * 0.25)),  # the error is bounded
        (-3.0, 0.5 * (1 - 0.2 * 0.25)),
    ],
)
def test_kl_coef_follows_the_target(kl: float, expected: float) -> None:
    assert m.adapted_kl_coef(0.5, kl, target=6.0, n=128, horizon=512) == pytest.approx(expected)


def test_explained_variance_by_hand() -> None:
    returns = t([1, 2, 3], [4, 5, 99])
    assert m.explained_variance(returns, returns, MASK) == pytest.approx(1.0)
    assert m.explained_variance(torch.full_like(returns, 7.0), returns, MASK) == pytest.approx(0.0)
    assert m.explained_variance(-returns, returns, MASK) == pytest.approx(1 - 4.0)
    assert m.explained_variance(returns, torch.ones_like(returns), MASK) == 0.0


def test_gradients_agree_with_finite_differences() -> None:
    old, other = random_like_mask(4), random_like_mask(5)
    near = (old + 0.3 * random_like_mask(6)).requires_grad_()
    differentiable = {
        "policy": lambda x: m.clipped_policy_loss(x, old, other, MASK, 0.2)[0],
        "value": lambda x: m.clipped_value_loss(x, old, other, MASK, 0.2)[0],
        "kl": lambda x: m.approximate_kl(x, old, MASK),
        "mean": lambda x: m.masked_mean(x, MASK),
        "whiten": lambda x: m.masked_whiten(x, MASK),
        "sequence kl": lambda x: m.sequence_kl(x, old, MASK),
        "rewards": lambda x: m.token_rewards(torch.ones(2).double(), x, old, MASK, 0.3),
        "advantages": lambda x: m.generalised_advantages(other, x, MASK, 0.9, 0.8),
    }
    for name, function in differentiable.items():
        assert torch.autograd.gradcheck(function, (near,)), name


def test_padding_has_no_gradient() -> None:
    values = random_like_mask(7).requires_grad_()
    old, other = random_like_mask(8), random_like_mask(9)
    for loss in (m.clipped_policy_loss, m.clipped_value_loss):
        loss(values, old, other, MASK, 5.0)[0].backward()
    assert values.grad is not None
    assert values.grad[1, 2] == 0
    assert (values.grad[MASK.bool()] != 0).all()
