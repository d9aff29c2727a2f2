"""A training that was killed at any moment, or met a full disk, ends in the same weights, bit for bit."""

import functools
import random
from pathlib import Path

import pandas as pd
import pytest
import torch

from cai_kedro.engines.language_model import LanguageModel
from tests.learning.kill_trainings import (
    INTERVAL,
    LAST_STEP,
    TRAININGS,
    Ended,
    differences,
    run_training,
    save_starts,
    train_once,
)

#: The long form, and the seed of its moments, are benchmarks/kill_and_resume.py --trainings.
KILLS, SEED = 2, 0


@pytest.fixture(scope="module")
def starts(_tiny_lm: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("starts")
    save_starts(_tiny_lm, directory)
    return directory


@functools.cache
def straight(name: str, starts: Path) -> Ended:
    """Train without an interruption and without checkpoints."""
    ended = run_training(name, starts, starts / f"straight {name}")
    assert isinstance(ended, Ended)
    return ended


def with_checkpoints(name: str, starts: Path, told: Path, folder: Path, **how: int) -> Ended | int:
    return run_training(name, starts, told, {"directory": str(folder), "seconds": 0}, **how)


def assert_same(ended: Ended | int, wanted: Ended) -> None:
    assert differences(ended, wanted) == []


@pytest.mark.parametrize("name", TRAININGS)
def test_a_killed_training_goes_on_bit_for_bit(name: str, starts: Path, tmp_path: Path) -> None:
    wanted = straight(name, starts)
    unbroken = with_checkpoints(name, starts, tmp_path / "unbroken", tmp_path / "unbroken checkpoints")
    assert_same(unbroken, wanted)
    assert isinstance(unbroken, Ended)
    moments = random.Random(f"{name} {SEED}").sample(range(1, unbroken.moments + 1), KILLS)
    for kill, moment in enumerate(moments):
        folder = tmp_path / f"checkpoints {kill}"
        begun = with_checkpoints(name, starts, tmp_path / f"killed {kill}", folder, kill_at=moment)
        assert isinstance(begun, int), "it was not killed"
        ended = with_checkpoints(name, starts, tmp_path / f"ended {kill}", folder)
        assert_same(ended, wanted)
        assert isinstance(ended, Ended)
        redone = begun + ended.steps - wanted.steps
        assert redone <= INTERVAL.get(name, 4), f"killed at moment {moment}, {redone} steps were done again"
        (run,) = folder.iterdir()
        assert list(run.rglob("*.part")) == []


@pytest.mark.parametrize("share", [0.5, 1.5])
def test_a_full_disk_leaves_the_checkpoint_before_and_does_not_stop_the_training(
    share: float, starts: Path, tmp_path: Path
) -> None:
    """There is room for half the weights, or for the weights and not for the optimiser."""
    wanted = straight("sft", starts)
    room = int(share * (starts / "dropout" / "model.safetensors").stat().st_size)
    ended = with_checkpoints("sft", starts, tmp_path / "full", tmp_path / "checkpoints", room=room)
    assert_same(ended, wanted)
    assert isinstance(ended, Ended)
    assert "fine-tuning: checkpoint-2 could not be written" in ended.log
    assert "the newest is still checkpoint-1; training goes on and tries again: make room" in ended.log
    (run,) = (tmp_path / "checkpoints").iterdir()
    assert sorted(path.name for path in run.iterdir()) == ["checkpoint-1", "finished", "lock"]
    again = with_checkpoints("sft", starts, tmp_path / "again", tmp_path / "checkpoints")
    assert_same(again, wanted)
    assert isinstance(again, Ended)
    assert "fine-tuning: goes on from step 1, a checkpoint in " in again.log
    assert again.steps == wanted.steps - 2  # a step learns from two parts of a batch


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    starts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    where = {"directory": str(tmp_path / "checkpoints"), "seconds": 0}
    wanted, curves = train_once("sft", starts, where)
    (run,) = (tmp_path / "checkpoints").iterdir()
    assert sorted(path.name for path in run.glob("checkpoint-*")) == ["checkpoint-8", "checkpoint-9"]
    file = run / "checkpoint-9" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    caplog.set_level("INFO")
    weights, again = train_once("sft", starts, where)
    assert "fine-tuning passes over" in caplog.text
    assert "fine-tuning: goes on from step 8" in caplog.text
    assert all(torch.equal(weights[name], weight) for name, weight in wanted.items())
    assert again.equals(curves)
    caplog.clear()
    train_once("sft", starts, where)  # the damaged one was written again
    assert "passes over" not in caplog.text
    assert "goes on from step 9" in caplog.text


@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_that_was_killed_behind_its_last_step_has_all_its_curves(
    name: str, starts: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nine steps and a line every two: the ninth step's figures come behind the last line."""
    where = {"directory": str(tmp_path), "seconds": 0}
    weights, curves = train_once(name, starts, where)
    caplog.set_level("INFO")
    again, curves_again = train_once(name, starts, where)
    assert f"goes on from step {LAST_STEP.get(name, 9)}" in caplog.text
    assert all(torch.equal(again[key], weight) for key, weight in weights.items())
    pd.testing.assert_frame_equal(curves_again, curves, check_exact=True)


def test_a_short_training_writes_nothing(starts: Path, tmp_path: Path) -> None:
    train_once("sft", starts, {"directory": str(tmp_path / "checkpoints"), "seconds": 60})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_told_before_training(starts: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"fine-tuning: no checkpoint can be written .*; set checkpoints\.directory"):
        train_once("sft", starts, {"directory": str(tmp_path / "file"), "seconds": 60})
