"""`kedro study`, typed: chains of one stage, so the scheduling is what is tested."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from cai_kedro.cli.study import _study, study
from cai_kedro.core.lock import locked
from cai_kedro.studies.chains import LOCK
from tests.project_copy import PROJECT, copy_project, kedro

STUDY = """
about: chains of one stage
env: smoke
seeds: [0]
pipelines: [base_model]
settings:
  default: {about: as it is}
"""
BROKEN = "  broken: {about: a model that is nowhere, parameters: {model: nowhere/at-all}}\n"
CHAIN = Path("data/studies/small/seed_0")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = copy_project(tmp_path / "project")
    (folder / "small.yml").write_text(STUDY)
    return folder


def status(project: Path, setting: str = "default") -> dict:
    return json.loads((project / CHAIN / setting / "status.json").read_text())


def seconds(project: Path, setting: str = "default") -> list[float | None]:
    return [attempt["seconds"] for attempt in status(project, setting)["attempts"]]


def versions(project: Path, artifact: str) -> list[str]:
    folder = project / CHAIN / "default" / "data" / artifact
    return sorted(path.name for path in folder.glob("[!.]*")) if folder.is_dir() else []


@pytest.mark.slow
def test_a_failed_chain_stops_no_other_and_what_is_finished_is_not_run_again(project: Path) -> None:
    settings = STUDY.partition("settings:\n")
    (project / "small.yml").write_text(f"{settings[0]}{settings[1]}{BROKEN}{settings[2]}")
    done = kedro(project, "study", "small.yml")
    told = done.stdout + done.stderr
    assert done.returncode == 1, told
    assert status(project)["state"] == "finished", told
    assert status(project, "broken")["state"] == "failed"
    failed = next(line for line in done.stdout.splitlines() if "seed 0, broken: failed with exit code 1: " in line)
    assert "nowhere/at-all" in failed, failed
    assert re.search(r"^all chains took \d", done.stdout, re.MULTILINE)
    page = (project / CHAIN.parent / "study.md").read_text()
    assert "**`default` has 1 finished seeds, fewer than 3: no sentence may rest on them.**" in page
    assert "**Not finished: seed 0, broken.**" in page
    first, model = seconds(project), versions(project, "06_models/pretrained")
    assert len(first) == len(model) == 1

    again = kedro(project, "study", "small.yml")
    assert "[2 of 2] seed 0, default: finished before, " in again.stdout
    assert (seconds(project), versions(project, "06_models/pretrained")) == (first, model)
    assert len(seconds(project, "broken")) == 2


@pytest.mark.slow
def test_where_every_chain_fails_nothing_is_written(project: Path) -> None:
    (project / "small.yml").write_text(
        STUDY.replace("{about: as it is}", "{about: x, parameters: {model: nowhere/at-all}}")
    )
    done = kedro(project, "study", "small.yml")
    assert done.returncode == 1
    assert "failed with exit code 1: " in done.stdout
    assert "no chain is finished: nothing is written" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert not (project / CHAIN.parent / "study.md").exists()


@pytest.mark.slow
def test_after_a_kill_nothing_is_begun_twice_and_no_finished_stage_is_run_again(project: Path) -> None:
    study = _started(project)
    _wait_for((project / CHAIN / "default" / "status.json").is_file)
    os.killpg(study.pid, signal.SIGSTOP)
    study.kill()  # the study alone; its chain is still there, and holds its breath
    study.wait()
    meanwhile = kedro(project, "study", "small.yml")
    told = " ".join((meanwhile.stderr + meanwhile.stdout).split())
    assert meanwhile.returncode == 1
    assert "nothing was run: the chain seed 0, default is being made by another run, process " in told
    assert "Traceback" not in told

    os.killpg(study.pid, signal.SIGCONT)
    made = ("06_models/pretrained", "07_model_output/pretraining_curves.parquet")
    curves = project / CHAIN / "default" / "data" / made[1]
    _wait_for(lambda: len(list(curves.glob("*/[!.]*"))) == 2)  # the last output of the stage, and its digest
    os.killpg(study.pid, signal.SIGKILL)
    before = [versions(project, name) for name in made]
    assert not (project / CHAIN / "default" / "figures.csv").exists(), "killed before its end"
    assert seconds(project) == [None]

    done = kedro(project, "study", "small.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [versions(project, name) for name in made] == before, "what was finished was not made again"
    assert " and 1 killed attempt" in done.stdout


def _started(project: Path) -> subprocess.Popen[bytes]:
    """Start a study with a process group of its own, its chain in it."""
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", "from kedro.framework.cli import main\nmain()", "study", "small.yml"],
        cwd=project,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(PROJECT / "src")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _wait_for(condition: Callable[[], object], limit: float = 300.0) -> None:
    until = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def study_here(project: Path, *, tables_only: bool = False) -> None:
    bootstrap_project(project)
    _study(project, str(project / "small.yml"), tables_only, [])


def test_as_many_chains_at_a_time_as_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[object, ...]] = []
    monkeypatch.setattr(sys.modules[_study.__module__], "_study", lambda *given: seen.append(given))
    project = SimpleNamespace(project_path=tmp_path)
    for given in ([], ["--processes", "3"]):
        assert CliRunner().invoke(study, ["small.yml", *given], obj=project).exit_code == 0
    assert [(call[1], call[-1]) for call in seen] == [("small.yml", 1), ("small.yml", 3)]
    refused = CliRunner().invoke(study, ["small.yml", "--processes", "0"], obj=project)
    assert refused.exit_code == 2
    assert "0 is not in the range x>=1" in refused.output


def test_tables_need_a_finished_chain(project: Path) -> None:
    with pytest.raises(ValueError, match="is finished, so there is nothing to put together"):
        study_here(project, tables_only=True)


def test_what_the_project_has_not_is_told_before_a_folder_is_made(project: Path) -> None:
    (project / "small.yml").write_text(STUDY + BROKEN.replace("model:", "modle:"))
    with pytest.raises(ValueError, match="'broken': there is no parameter modle; did you mean 'model'"):
        study_here(project)
    assert not (project / CHAIN).exists()


def test_two_studies_of_one_name_do_not_meet(project: Path) -> None:
    held = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(project / CHAIN.parent / LOCK)],
        env={**os.environ, "PYTHONPATH": str(PROJECT / "src")},
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
    )
    assert held.stdout is not None
    held.stdout.readline()
    with pytest.raises(ValueError, match=f"the study small is being made by another run, process {held.pid}"):
        study_here(project, tables_only=True)
    held.communicate(b"\n")
    with locked(project / CHAIN.parent / LOCK, "the study small"):
        pass  # a lock ends with its process


_HOLD = """
import sys
from pathlib import Path
from cai_kedro.core.lock import locked
with locked(Path(sys.argv[1]), "x"):
    print(flush=True)
    sys.stdin.readline()
"""
