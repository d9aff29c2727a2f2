"""`kedro study`, typed: chains of one stage, so the scheduling is what is tested."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cai_kedro.core.lock import locked
from cai_kedro.studies.chains import LOCK
from tests.project_copy import PROJECT, copy_project, kedro

pytestmark = pytest.mark.slow

STUDY = """
about: chains of one stage
env: smoke
seeds: [0, 1]
pipelines: [base_model]
settings:
  default: {about: as it is}
  broken: {about: a model that is nowhere, parameters: {model: nowhere/at-all}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = copy_project(tmp_path / "project")
    (folder / "small.yml").write_text(STUDY)
    return folder


def status(project: Path, chain: str) -> dict:
    return json.loads((project / "data" / "studies" / "small" / chain / "status.json").read_text())


def seconds(project: Path, chain: str) -> list[float | None]:
    return [attempt["seconds"] for attempt in status(project, chain)["attempts"]]


def test_a_failed_chain_stops_no_other_and_what_is_finished_is_not_run_again(project: Path) -> None:
    done = kedro(project, "study", "small.yml")
    assert done.returncode == 1
    for seed in (0, 1):
        assert status(project, f"seed_{seed}/default")["state"] == "finished"
        assert status(project, f"seed_{seed}/broken")["state"] == "failed"
        assert f"seed {seed}, broken: failed with exit code 1: " in done.stdout
    assert "nowhere/at-all" in done.stdout
    page = (project / "data" / "studies" / "small" / "study.md").read_text()
    assert "**`default` has 2 finished seeds, fewer than 3: no sentence may rest on them.**" in page
    assert "**Not finished: seed 0, broken; seed 1, broken.**" in page
    first = seconds(project, "seed_0/default")
    model = project / "data" / "studies" / "small" / "seed_0" / "default" / "data" / "06_models" / "pretrained"
    (version,) = model.iterdir()

    again = kedro(project, "study", "small.yml")
    assert "[1 of 4] seed 0, default: finished before, " in again.stdout
    assert seconds(project, "seed_0/default") == first
    assert len(seconds(project, "seed_0/broken")) == 2
    assert list(model.iterdir()) == [version]


def _started(project: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", "from kedro.framework.cli import main\nmain()", "study", "small.yml"],
        cwd=project,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT / "src")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        text=True,
    )


def _wait_for(condition: Callable[[], object], limit: float = 240.0) -> None:
    until = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_after_a_kill_the_study_goes_on_and_runs_no_finished_stage_again(project: Path) -> None:
    (project / "small.yml").write_text(STUDY.replace("[0, 1]", "[0]").split("  broken")[0])
    chain = project / "data" / "studies" / "small" / "seed_0" / "default"
    models = chain / "data" / "06_models" / "pretrained"
    process = _started(project)
    _wait_for(lambda: models.is_dir() and [path for path in models.iterdir() if not path.name.startswith(".")])
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    versions = sorted(models.iterdir())
    assert not (chain / "figures.csv").exists(), "killed before its end"
    assert seconds(project, "seed_0/default") == [None]

    done = kedro(project, "study", "small.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(models.iterdir()) == versions, "the model was not made again"
    assert "seed 0, default: finished, " in done.stdout
    assert " and 1 killed attempt" in done.stdout


def test_a_chain_whose_study_was_killed_is_not_begun_twice(project: Path) -> None:
    (project / "small.yml").write_text(STUDY.replace("[0, 1]", "[0]").split("  broken")[0])
    chain = project / "data" / "studies" / "small" / "seed_0" / "default"
    process = _started(project)
    _wait_for((chain / "status.json").is_file)
    process.kill()  # the study alone; the chain lives on
    process.wait()
    meanwhile = kedro(project, "study", "small.yml")
    if meanwhile.returncode:  # it is still there
        assert "the chain seed 0, default is being made by another run, process " in meanwhile.stderr + meanwhile.stdout
    _wait_for(lambda: status(project, "seed_0/default")["state"] == "finished")
    assert kedro(project, "study", "small.yml").returncode == 0
    assert len(seconds(project, "seed_0/default")) == 1


def test_tables_need_a_finished_chain_and_two_studies_do_not_meet(project: Path) -> None:
    none = kedro(project, "study", "small.yml", "--tables-only")
    assert none.returncode == 1
    assert "nothing to put together" in none.stderr + none.stdout
    with locked(project / "data" / "studies" / "small" / LOCK, "the study small"):
        other = kedro(project, "study", "small.yml")
    assert other.returncode == 1
    assert "the study small is being made by another run, process " in other.stderr + other.stdout


def test_what_is_wrong_in_the_file_ends_it_in_a_line(project: Path) -> None:
    (project / "small.yml").write_text(STUDY.replace("parameters: {model", "parameters: {modle"))
    done = kedro(project, "study", "small.yml")
    assert done.returncode == 1
    told = done.stderr + done.stdout
    assert "nothing was run: the setting 'broken': there is no parameter modle; did you mean 'model'?" in " ".join(
        told.split()
    )
    assert "Traceback" not in told
