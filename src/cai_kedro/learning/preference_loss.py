"""The preference model's loss and accuracy on soft labels (§4.1): pure functions of score differences."""

import torch
from torch.nn import functional


def soft_preference_loss(difference: torch.Tensor, p_a_better: torch.Tensor) -> torch.Tensor:
    """Return the mean cross-entropy, in nats, of sigmoid(r_a - r_b) against the probability that A is better.

    Both arguments have shape (n,), probabilities in [0, 1]; a hard label is 0 or 1.
    """
    return -(
        p_a_better * functional.logsigmoid(difference) + (1 - p_a_better) * functional.logsigmoid(-difference)
    ).mean()


def soft_label_term(difference: torch.Tensor, p_a_better: torch.Tensor) -> torch.Tensor:
    """Return what a loss with A always chosen, -log sigmoid(r_a - r_b), lacks to the soft loss: mean (1-p)(r_a - r_b).

    Because log sigmoid(-d) = log sigmoid(d) - d, adding it gives `soft_preference_loss` exactly.
    """
    return ((1 - p_a_better) * difference).mean()


def loss_of_first(loss: torch.Tensor, difference: torch.Tensor, p_a_better: torch.Tensor, rows: int) -> torch.Tensor:
    """Return the mean loss of the first rows, given that of all: 0 where none counts, with a gradient of 0."""
    if rows == len(p_a_better):
        return loss
    return soft_preference_loss(difference[:rows], p_a_better[:rows]) if rows else 0.0 * difference.sum()


def pairwise_correct(difference: torch.Tensor, p_a_better: torch.Tensor) -> torch.Tensor:
    """Return per comparison 1 where the scores order the pair as the label does, else 0: shape (n,).

    Where the label or the scores prefer neither it is 0.5, as a coin would do.
    """
    agreement = torch.sign(difference) * torch.sign(p_a_better.to(difference.dtype) - 0.5)
    return (agreement + 1) / 2
