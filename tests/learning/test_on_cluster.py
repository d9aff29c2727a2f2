"""Two workers of a real Ray cluster on this machine learn what one process learns. Skipped where there is no Ray."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import save_language_model
from cai_kedro.engines.ray_settings import TrainingCluster
from cai_kedro.learning.processes import Processes
from tests.engines.test_ray_engine import ALONE, _can_be_alone

CLUSTER = {"address": "auto", "cpus": 1, "gpus": 0}
ON_THE_CLUSTER = """
import json, sys
from pathlib import Path

import pandas as pd
import ray
import torch

from cai_kedro.engines.model_files import load_language_model
from cai_kedro.engines.ray_cluster import ClusterError
from cai_kedro.learning.launch import train_on
from cai_kedro.learning.processes import ALONE, Processes
from cai_kedro.learning.sft import SFTParams, fine_tune
from cai_kedro.models.adapters import prepared
from tests.adapters import LORA
from tests.learning.test_launch import LEARNS, ROWS_TO_LEARN

folder, cluster = Path(sys.argv[1]), json.loads(sys.argv[2])
told = {}

def trained(processes, change=None, rate=1e-3, checkpoints=None):
    lm = load_language_model(folder / "model")
    lm = lm if change is None else prepared(lm, change, 0)
    params = SFTParams(**{**LEARNS, "learning_rate": rate}, device_batch_size=1, checkpoints=checkpoints)
    lm, curves = fine_tune(lm, ROWS_TO_LEARN, params, 0, processes)
    weights = lm.adapter.weights if change else lm.model.state_dict()
    return weights, curves[curves["metric"] == "loss"]["value"].tolist()

def apart(one, other):
    return max(float((one[name] - other[name]).abs().max()) for name in one)

def fault(call, kind):
    try:
        call()
    except kind as error:
        return str(error)

ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
two = Processes(processes=2, sharding="none", cluster=cluster)
for name, change, checkpoints in (
    ("whole", None, {"directory": str(folder / "checkpoints"), "seconds": 0.0}), ("adapter", LORA, None)
):
    weights, losses = trained(ALONE, change)
    weights_of_two, losses_of_two = trained(two, change, checkpoints=checkpoints)
    told[name] = {"losses": losses, "losses of two": losses_of_two, "apart": apart(weights, weights_of_two)}
told["diverged"] = fault(lambda: trained(two, rate=1e30), ValueError)
four = Processes(processes=4, sharding="none", cluster=cluster)
told["no room"] = fault(lambda: trained(four), ClusterError)
told["left"] = sorted(path.name for path in (folder / "scratch").iterdir())
print("told", json.dumps(told))
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed: the extra `cluster`")
@pytest.mark.skipif(not _can_be_alone(), reason="no network namespaces here (unshare, iproute2)")
def test_two_workers_of_a_cluster_learn_what_one_process_learns(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    save_language_model(tiny_lm, tmp_path / "model")
    given = json.dumps({**CLUSTER, "scratch": str(tmp_path / "scratch")})
    run = subprocess.run(
        [*ALONE, sys.executable, "-c", ON_THE_CLUSTER, str(tmp_path), given],
        check=False,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    told = json.loads(run.stdout[run.stdout.index("told {") + 5 :].splitlines()[0])
    for name in ("whole", "adapter"):
        assert len(told[name]["losses"]) == 4
        assert told[name]["losses of two"] == pytest.approx(told[name]["losses"], abs=1e-5)
        assert told[name]["apart"] < 1e-4
    assert "the gradient norm is nan at step 2" in told["diverged"]
    assert "has room for 2 processes of 1 CPU cores and 0 GPUs, and a training takes 4" in told["no room"]
    assert told["left"] == []


def test_what_a_process_takes_has_to_go_with_the_device() -> None:
    cluster = TrainingCluster(**CLUSTER, scratch="ray")
    on_cpus = Processes(processes=8, sharding="none", cluster=cluster)
    assert list(on_cpus.device_faults("cpu")) == []
    (fault,) = on_cpus.device_faults("cuda")
    assert fault.startswith("training.cluster gives a process 0 GPUs, and the device is cuda")
    on_gpus = on_cpus.model_copy(update={"cluster": cluster.model_copy(update={"gpus": 1})})
    assert list(on_gpus.device_faults("cuda")) == []  # however many this machine has
    assert len(list(on_gpus.device_faults("cpu"))) == 1
