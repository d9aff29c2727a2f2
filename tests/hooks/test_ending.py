"""Runs that are interrupted, in processes of their own; and wrong input before the first stage."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from cai_kedro.core.gates import GateClosed
from cai_kedro.hooks.ending import orderly
from cai_kedro.hooks.faults import PreflightError
from tests.project_copy import copy_project, kedro_start

PRETRAINING = "base_model.source=micro,base_model.micro.steps=100000,base_model.micro.tokenizer_documents=200"

#: As a stage that waits for a server in a thread.
HANGING = """
import atexit, threading, time
from cai_kedro.core.gates import GateClosed
from cai_kedro.hooks.ending import orderly
atexit.register(lambda: print("closed", flush=True))
threading.Thread(target=time.sleep, args=(60,)).start()
with orderly(lambda: "stage 1 of 2"):
    print("ready", flush=True)
    time.sleep(60)
"""


def test_an_interrupted_run_says_what_is_kept(store: Path, tmp_path: Path) -> None:
    project = copy_project(tmp_path)
    for file in store.glob("mlflow.db*"):
        shutil.copy(file, project)
    with kedro_start(project, "run", "--env=smoke", "--pipelines=base_model", f"--params={PRETRAINING}") as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        before = list(_until(lines, lambda line: "stage 1 of 1" in line))
        process.send_signal(signal.SIGINT)
        after = list(lines)
        assert process.stderr is not None
        errors = process.stderr.read()
    assert process.returncode == 130, [*before, *after, errors]
    assert errors == "", "no traceback, no warning of a library"
    assert [line.split(maxsplit=1)[1].strip() for line in after] == [
        "WARNING stopped by Ctrl-C in stage 1 of 1: base_model.provide_pretrained: finished tables, models, shards and "
        "checkpoints are kept",
        "WARNING to go on, give the same command again: finished shards are read (docs/guides/resuming.md)",
    ]
    client = MlflowClient(tracking_uri=f"sqlite:///{project}/mlflow.db")
    experiment = client.get_experiment_by_name("cai_kedro")
    assert experiment is not None
    assert [run.info.status for run in client.search_runs([experiment.experiment_id])] == ["KILLED"]


def _until(lines: Iterator[str], last: Callable[[str], bool]) -> Iterator[str]:
    for line in lines:
        yield line
        if last(line):
            return


def test_sigterm_waits_for_no_thread_and_runs_what_closes_mlflow() -> None:
    with subprocess.Popen([sys.executable, "-c", HANGING], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        list(_until(iter(process.stdout.readline, ""), lambda line: line == "ready\n"))
        began = time.monotonic()
        process.terminate()
        assert process.wait(30) == 143
        assert time.monotonic() - began < 10
        assert process.stdout.read().endswith("closed\n")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError("Pipeline does not contain nodes named ['x'].\n  Two"), "Pipeline does not contain .*'x'.*. Two"),
        (IsADirectoryError("it is a folder"), "IsADirectoryError: it is a folder"),
    ],
)
def test_wrong_input_before_the_first_stage_is_one_sentence(error: Exception, told: str) -> None:
    with pytest.raises(PreflightError, match=rf"^nothing was run: {told}$"), orderly(lambda: None):
        raise error


@pytest.mark.parametrize(("stage", "error"), [("stage 2 of 3: train", ValueError), (None, AttributeError)])
def test_an_error_of_a_stage_or_of_the_program_keeps_its_traceback(stage: str | None, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^bad$"), orderly(lambda: stage):
        raise error("bad")


def test_signals_are_as_before_after_a_run() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with orderly(lambda: None):
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] != before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_bar_that_is_not_passed_ends_a_run_with_a_sentence() -> None:
    with (
        pytest.raises(PreflightError, match=r"^the run ended in stage 6 of 75: check: the critic is below the bar$"),
        orderly(lambda: "stage 6 of 75: check"),
    ):
        raise GateClosed("the critic is below\nthe bar")
    with pytest.raises(ValueError, match="a fault of the program"), orderly(lambda: "stage 6 of 75: check"):
        raise ValueError("a fault of the program")
