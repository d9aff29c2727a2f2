"""Progress of a training, one line every few seconds."""

import logging
import time
from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cai_kedro.core.progress import SECONDS_BETWEEN_LINES, clock

logger = logging.getLogger(__name__)


def progress_line(name: str, done: int, total: int, seconds: float, loss: float | None) -> str:
    """Write steps done, rate, time left and the last loss."""
    rate = done / seconds if seconds > 0 else 0.0
    left = clock((total - done) / rate) if rate else "?"
    told = "" if loss is None else f", loss {loss:.3f}"
    return f"{name}: step {done}/{total}, {rate:.1f} steps/s, {left} left{told}"


class ProgressCallback(TrainerCallback):
    """Logs a line at most every `every` seconds while training, and one at the end."""

    def __init__(
        self, name: str, every: float = SECONDS_BETWEEN_LINES, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self.every = every
        self.now = now
        self.started = self.last = 0.0
        self.first_step = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the clock; a resumed run counts from the step at which it resumed."""
        self.started = self.last = self.now()
        self.first_step = state.global_step

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Log a line when it is time."""
        if self.now() - self.last >= self.every:
            self.last = self.now()
            losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
            logger.info(
                progress_line(
                    self.name,
                    state.global_step - self.first_step,
                    state.max_steps - self.first_step,
                    self.last - self.started,
                    losses[-1] if losses else None,
                )
            )

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Log how long it took."""
        logger.info("%s: %d steps in %s", self.name, state.global_step, clock(self.now() - self.started))
