"""Cross-entropy of a language model's head, a slice of the tokens at a time.

Logits of every token at once (4,096 tokens × 1,792 words in fp32) are read and written several times over and cost
more than the micro LM itself. A slice stays in the cache; its gradient is made while it is there.
"""

from typing import Any

import torch
from torch import Tensor

_SLICE = 512  # tokens


class _WeightedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        states, matrix = hidden.bfloat16(), head.bfloat16()
        shares = weights / weights.sum()
        losses = torch.empty(len(targets))
        states_gradient = torch.empty_like(states)
        head_gradient = torch.zeros(head.shape)
        for start in range(0, len(targets), _SLICE):
            part = slice(start, start + _SLICE)
            logits = (states[part] @ matrix.T).float()
            total = logits.logsumexp(-1, keepdim=True)
            target = targets[part, None]
            losses[part] = (total - logits.gather(1, target))[:, 0]
            # d loss / d logits = softmax - one-hot
            gradient = logits.sub_(total).exp_()
            gradient.scatter_add_(1, target, torch.full(target.shape, -1.0))
            gradient = gradient.mul_(shares[part, None]).bfloat16()
            states_gradient[part] = gradient @ matrix
            head_gradient += gradient.T @ states[part]
        ctx.save_for_backward(states_gradient, head_gradient)
        ctx.mark_non_differentiable(losses)
        return (losses * shares).sum(), losses

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        states_gradient, head_gradient = ctx.saved_tensors
        return states_gradient.float() * gradients[0], head_gradient * gradients[0], None, None


def weighted_cross_entropy(hidden: Tensor, head: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weighted mean cross-entropy, and that of every token (nats, without a gradient): (), (tokens,).

    `hidden` (tokens, width) are the states behind the last norm, `head` (vocabulary, width) the output matrix,
    `targets` and `weights` (tokens,). Products are in bfloat16 with sums in fp32, as under autocast.
    """
    mean, losses = _WeightedCrossEntropy.apply(hidden, head, targets, weights)
    return mean, losses
