"""Trainers that stop at the first number that is none, and give back no weight that is none."""

from typing import Any

from torch import Tensor
from transformers import Trainer

from cai_kedro.core.finite import check_step, check_weights


class FiniteTraining(Trainer):
    """A mixin to stand before any Hugging Face trainer; every step's loss and gradient norm are looked at.

    The trainer's own log is no place for this: it comes every few steps, and leaves losses that are not finite out of
    its means. The weights are looked at after the last optimiser step, of which no loss tells.
    """

    training_name = "training"

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        """Return the step's loss; raises `ValueError` unless it is finite."""
        loss = super().training_step(*args, **kwargs)
        self.check_figures({"loss": float(loss.detach())})
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        self.check_figures({"gradient norm": float(norm)})
        return norm

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train to the end; raises `ValueError` unless all weights are finite then."""
        output = super().train(*args, **kwargs)
        assert self.model is not None
        check_weights(self.training_name, self.model.named_parameters())
        return output

    def check_figures(self, figures: dict[str, float]) -> None:
        """Raise `ValueError` at the first figure of the step in progress that is not finite."""
        assert self.optimizer is not None
        check_step(self.training_name, self.state.global_step + 1, self.optimizer.param_groups[0]["lr"], figures)
