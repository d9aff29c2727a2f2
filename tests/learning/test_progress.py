"""Progress lines come at their time and say what is true."""

import logging

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from cai_kedro.learning.progress import ProgressCallback, progress_line


def test_line() -> None:
    # 50 steps in 20 s are 2.5 a second; the other 150 take a minute
    assert progress_line("PM", 50, 200, 20, 0.69314) == "PM: step 50/200, 2.5 steps/s, 1m00s left, loss 0.693"
    assert progress_line("PM", 0, 200, 0, None) == "PM: step 0/200, 0.0 steps/s, ? left"


def test_one_line_every_n_seconds(caplog: pytest.LogCaptureFixture, tmp_path: object) -> None:
    now = 0.0
    callback = ProgressCallback("PM", every=10, now=lambda: now)
    args, control = TrainingArguments(output_dir=str(tmp_path), use_cpu=True), TrainerControl()
    state = TrainerState(max_steps=30, log_history=[{"loss": 0.5}, {"other": 1.0}])
    with caplog.at_level(logging.INFO):
        callback.on_train_begin(args, state, control)
        for step in range(1, 31):
            now, state.global_step = float(step), step
            callback.on_step_end(args, state, control)
        callback.on_train_end(args, state, control)
    assert caplog.messages == [
        "PM: step 10/30, 1.0 steps/s, 20s left, loss 0.500",
        "PM: step 20/30, 1.0 steps/s, 10s left, loss 0.500",
        "PM: step 30/30, 1.0 steps/s, 0s left, loss 0.500",
        "PM: 30 steps in 30s",
    ]
