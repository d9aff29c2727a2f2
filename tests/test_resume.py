"""SIGKILL in the middle of sampling and labelling, the short form of `benchmarks/kill_and_resume.py`."""

from pathlib import Path

import pytest
from benchmarks.kill_and_resume import (
    ENV,
    PARAMS,
    TABLES,
    Kill,
    digests,
    finished_rows,
    reused_rows,
    run_and_kill,
    without_results,
)

from tests.project_copy import kedro_run

pytestmark = pytest.mark.slow

BOTH = "data_generation,preference_labeling"
NAMES = (*TABLES["data_generation"], *TABLES["preference_labeling"])


def run(project: Path) -> str:
    done = kedro_run(project, f"--env={ENV}", f"--pipelines={BOTH}", PARAMS)
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def uninterrupted(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = without_results(finished_run, tmp_path_factory.mktemp("uninterrupted") / "project", NAMES)
    run(project)
    return project


def test_a_run_that_was_killed_twice_ends_as_one_that_was_not(uninterrupted: Path, tmp_path: Path) -> None:
    project = without_results(uninterrupted, tmp_path / "project", NAMES)
    assert run_and_kill(project, BOTH, Kill(rename=9, after=True))  # a shard's file has its name, its manifest not yet
    first = finished_rows(project, NAMES)
    assert run_and_kill(project, BOTH, Kill(rename=30, after=False))
    second = finished_rows(project, NAMES)
    assert 0 < sum(first.values()) < sum(second.values())
    terminal = run(project)
    assert "there is no manifest beside it" not in terminal  # that shard was made again by the second run
    assert reused_rows(terminal) == second
    assert digests(project, NAMES) == digests(uninterrupted, NAMES)


def test_a_run_on_finished_shards_asks_no_model(uninterrupted: Path) -> None:
    wanted = digests(uninterrupted, NAMES)
    terminal = run(uninterrupted)
    assert reused_rows(terminal) == finished_rows(uninterrupted, NAMES)
    assert digests(uninterrupted, NAMES) == wanted
