"""Checkpoints are named by what decides a run, and go when the process that finished it has saved its model."""

import os
import socket
from pathlib import Path
from typing import Any

import pytest
import torch

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.checkpoints import RunFolder, remove_finished, run_fingerprint, run_folder
from tests.learning.rl.test_ppo import settings


def test_only_what_decides_the_outcome_names_a_run(tiny_lm: LanguageModel) -> None:
    def name(seed: int = 1, ids: tuple[int, ...] = (1, 2), training: str = "PPO", **changed: Any) -> str:
        return run_fingerprint(training, settings(**changed), [tiny_lm], [list(ids)], seed)

    before = name()
    assert before == name(rollouts=9, checkpoints={"directory": "elsewhere", "seconds": 3})
    others = name(seed=2), name(ids=(1, 3)), name(training="DPO"), name(kl_coef=0.3), name(gamma=0.9)
    assert len({before, *others}) == 6
    tiny_lm.model.config._name_or_path = "read from elsewhere"
    assert name() == before
    tiny_lm.model.config.rms_norm_eps *= 2
    assert name() != before
    tiny_lm.model.config.rms_norm_eps /= 2
    assert name() == before
    with torch.no_grad():
        tiny_lm.model.model.norm.weight[0] += 1e-6
    assert name() != before


def checkpoint(folder: RunFolder, step: int) -> Path:
    written = folder.path / "part" / f"checkpoint-{step}"
    written.mkdir(parents=True)
    (written / "model.safetensors").write_text("weights")
    return folder.publish(written, {})


def test_a_checkpoint_of_another_run_is_no_checkpoint(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoint(RunFolder(tmp_path, "another", 0), 4)
    assert RunFolder(tmp_path, "another", 0).newest("PPO") == tmp_path / "checkpoint-4"
    assert RunFolder(tmp_path, "this", 0).newest("PPO") is None
    assert "it is of another run, another" in caplog.text


def run_once(lm: LanguageModel, directory: Path, steps: int) -> None:
    params = settings(checkpoints={"directory": str(directory), "seconds": 0})
    with run_folder("preference model", params, [lm], [], 1) as folder:
        assert folder is not None
        assert folder.path.name == f"preference_model-{folder.fingerprint}"
        for step in range(steps):
            checkpoint(folder, step)
        folder.finish()


def test_checkpoints_go_when_the_process_that_finished_them_has_saved(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    run_once(tiny_lm, folder, 0)
    assert not folder.exists(), "a run without a checkpoint leaves nothing"
    run_once(tiny_lm, folder, 2)
    (run,) = folder.iterdir()
    marker = run / "finished"
    assert marker.read_text() == f"{os.getpid()} on {socket.gethostname()}"
    marker.write_text("1 on another machine")
    remove_finished([folder])
    assert run.is_dir()
    run_once(tiny_lm, folder, 0)
    remove_finished([folder, tmp_path / "none"])
    assert not folder.exists()
