import torch
from torch.nn import functional

from cai_kedro.microworld.token_loss import weighted_cross_entropy


def test_loss_and_gradients_are_those_of_the_library() -> None:
    draw = torch.Generator().manual_seed(0)
    hidden = torch.randn(700, 32, generator=draw).bfloat16().float().requires_grad_()  # more than one slice
    head = torch.randn(90, 32, generator=draw).bfloat16().float().requires_grad_()
    targets = torch.randint(0, 90, (700,), generator=draw)
    weights = torch.rand(700, generator=draw) * (torch.rand(700, generator=draw) < 0.8)

    expected_losses = functional.cross_entropy(hidden @ head.T, targets, reduction="none")
    expected = (expected_losses * weights).sum() / weights.sum()
    expected_gradients = torch.autograd.grad(2 * expected, (hidden, head))

    mean, losses = weighted_cross_entropy(hidden, head, targets, weights)
    gradients = torch.autograd.grad(2 * mean, (hidden, head))
    torch.testing.assert_close(losses, expected_losses, rtol=0.01, atol=0.05)
    torch.testing.assert_close(mean, expected, rtol=2e-3, atol=0)
    for found, wanted in zip(gradients, expected_gradients, strict=True):
        assert (found - wanted).norm() < 0.01 * wanted.norm()


def test_what_has_no_weight_gets_no_gradient() -> None:
    hidden = torch.ones(3, 4, requires_grad=True)
    head = torch.eye(5, 4, requires_grad=True)
    mean, losses = weighted_cross_entropy(hidden, head, torch.tensor([0, 1, 4]), torch.tensor([1.0, 0.0, 1.0]))
    mean.backward()
    assert hidden.grad is not None
    assert hidden.grad[1].abs().sum() == 0
    assert hidden.grad[0].abs().sum() > 0
    assert not losses.requires_grad
