"""Numbers that are none: NaN and infinity stop the work where they arise, and are never saved or counted.

A model whose training diverged still answers, scores and saves without an error, and every comparison with NaN is
false: its accuracy reads 0.500.
"""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor


def check_step(training: str, step: int, learning_rate: float, figures: Mapping[str, float]) -> None:
    """Raise `ValueError` at the first of a training step's figures (loss, gradient norm, KL …) that is not finite."""
    for quantity, value in figures.items():
        if not math.isfinite(value):
            raise ValueError(
                f"{training}: the {quantity} is {value} at step {step} with learning rate {learning_rate:g}, so "
                f"training stops and nothing of it is saved: lower the learning rate, or look for broken rows or "
                f"weights in what it learns from"
            )


def check_weights(owner: str, weights: Iterable[tuple[str, Tensor]], advice: str = "lower its learning rate") -> None:
    """Raise `ValueError` naming the first weight that is not finite, and how many there are."""
    named = list(weights)
    wrong = [name for name, weight in named if weight.is_floating_point() and not bool(torch.isfinite(weight).all())]
    if wrong:
        raise ValueError(
            f"{owner}: {len(wrong)} of {len(named)} weights hold values that are not finite, {wrong[0]!r} first, so "
            f"nothing of it is saved or used: {advice}"
        )


def check_scores(scorer: str, scores: Tensor) -> None:
    """Raise `ValueError` unless all scores (n,) are finite."""
    wrong = int((~torch.isfinite(scores)).sum())
    if wrong:
        raise ValueError(
            f"{scorer} gave {wrong} of {scores.numel()} answers a score that is not finite: its weights have "
            f"diverged; look at its training curves, lower its learning rate and train it again"
        )
