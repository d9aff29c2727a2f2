"""The table of several runs, from an MLflow database with real runs."""

import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.entities import Metric, Param, RunTag
from mlflow.tracking import MlflowClient

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "seeds.py"


def _metrics(name: str, value: float, half: float | None, n: int) -> dict[str, float]:
    interval = {} if half is None else {f"{name}.low": value - half, f"{name}.high": value + half}
    return {name: value, f"{name}.n": n, **interval}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    uri = f"sqlite:///{tmp_path_factory.mktemp('runs') / 'mlflow.db'}"
    client = MlflowClient(uri)
    experiment = client.create_experiment("cai_kedro")
    for seed, (rl_cai, sl_cai) in enumerate([(494, 342), (549, 376), (568, 428)]):
        run = client.create_run(experiment, start_time=1000 + seed)
        figures = _metrics("elo.harmlessness.rl_cai", rl_cai, 22, 600) | _metrics(
            "elo.harmlessness.sl_cai", sl_cai, 27, 600
        )
        if seed == 0:
            figures |= _metrics("behaviour.rl_cai.object.objects", 0.7, 0.09, 100)
        client.log_batch(
            run.info.run_id,
            metrics=[Metric(name, value, 0, 0) for name, value in figures.items()],
            params=[Param("seed", str(seed))],
            tags=[RunTag("machine", "a processor, 2 threads, bfloat16")] if seed == 2 else [],
        )
        client.set_terminated(run.info.run_id)
    return uri


def _table(uri: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--tracking-uris", uri, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_runs_stand_beside_their_mean_their_spread_and_their_interval_over_prompts(database: str) -> None:
    done = _table(database)
    assert done.returncode == 0, done.stderr
    rows = {
        cells[0]: cells[1:]
        for line in done.stdout.splitlines()
        if line.startswith("| ")
        for cells in [[cell.strip() for cell in line.strip("|").split(" | ")]]
    }
    assert rows[""] == ["seed 0", "seed 1", "seed 2", "mean", "sd over runs", "prompts' interval", "n", "wanted"]
    # 494, 549 and 568: mean 537, standard deviation sqrt(1477)
    assert rows["harmlessness Elo: RL-CAI"][:7] == ["494", "549", "568", "537", "38", "± 22", "600"]
    assert rows["harmlessness Elo: RL-CAI − SL-CAI"][:7] == ["152", "173", "140", "155", "17", "–", "600"]
    assert rows["the same, object in none"][:7] == ["0.70", "–", "–", "0.70", "–", "± 0.09", "100 (1 of 3 runs)"]
    assert "seed 2: commit not known; a processor, 2 threads, bfloat16" in done.stdout
    assert "seed 1: commit not known; machine not recorded" in done.stdout


def test_runs_that_are_not_there_are_named(database: str) -> None:
    assert (
        "4 finished runs with an evaluation are wanted, there are 3: run more seeds"
        in _table(database, "--runs", "4").stderr
    )
    assert "no finished run with an evaluation has the id 0a1b" in _table(database, "--run-ids", "0a1b").stderr
