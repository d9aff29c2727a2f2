"""What a training kept to go on from goes behind the last output of its node, and not before."""

import os
import socket
from pathlib import Path

from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node

from cai_kedro.hooks.checkpoints import Checkpoints, checkpoint_folders

PARAMETERS = {
    "sl_cai": {"fine_tuning": {"checkpoints": {"directory": "a", "seconds": 1}, "epochs": 1}},
    "rlhf": {"rl": {"ppo": {"checkpoints": {"directory": "b", "seconds": 1}}, "dpo": {"checkpoints": None}}},
}


def test_folders_are_found_however_deep() -> None:
    assert list(checkpoint_folders(PARAMETERS)) == [Path("a"), Path("b")]


def test_they_go_behind_the_last_output(tmp_path: Path) -> None:
    run = tmp_path / "fine-tuning-1"
    run.mkdir()
    (run / "finished").write_text(f"{os.getpid()} on {socket.gethostname()}")
    hook = Checkpoints()
    parameters = {"x": {"checkpoints": {"directory": str(tmp_path), "seconds": 60}}}
    hook.before_pipeline_run(DataCatalog({"parameters": MemoryDataset(parameters)}))
    training = node(lambda rows: (rows, rows), inputs="rows", outputs=["model", "curves"], name="train")
    other = node(lambda rows: rows, inputs="rows", outputs="other", name="other")
    hook.after_dataset_saved("model", training)
    assert run.is_dir()
    hook.after_dataset_saved("curves", training)
    assert not run.exists()
    hook.after_dataset_saved("other", other)
