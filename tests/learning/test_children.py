"""Processes that train together: their lines are read, and none is left, however one of them or the first one ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from cai_kedro.learning.children import fault_file, run_children
from cai_kedro.learning.processes import Processes

TWO = Processes(processes=2, sharding="none")
#: The second process does something; the first one waits, and writes down who it is.
WORKER = """
import os, pathlib, signal, sys, time
from cai_kedro.core.parents import end_with_parent
end_with_parent()
spec, rank = pathlib.Path(sys.argv[1]), int(os.environ["RANK"])
spec.with_name(f"pid-{{rank}}").write_text(str(os.getpid()))
if rank == 0:
    time.sleep(60)
{second}
"""
WAITS = WORKER.format(second="time.sleep(60)")


def run(tmp_path: Path, second: str) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(WORKER.format(second=second), encoding="utf-8")
    run_children(tmp_path / "spec.json", TWO, "cpu", [str(worker)])


def assert_gone(tmp_path: Path, seconds: float = 10.0) -> None:
    pids = [int(path.read_text()) for path in tmp_path.glob("pid-*") if path.read_text()]
    assert pids
    limit = time.monotonic() + seconds
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids):
        assert time.monotonic() < limit, "a process was left behind"
        time.sleep(0.05)


def test_lines_stand_in_the_log_with_their_process_and_level(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    worker = tmp_path / "worker.py"
    worker.write_text("import os\nprint('WARNING mind this, of', os.environ['WORLD_SIZE'])\nprint('plain')")
    run_children(tmp_path / "spec.json", TWO, "cpu", [str(worker)])
    lines = {(record.levelname, record.getMessage()) for record in caplog.records}
    assert lines == {
        (level, f"[process {rank}] {text}")
        for rank in (0, 1)
        for level, text in (("WARNING", "mind this, of 2"), ("INFO", "plain"))
    }


@pytest.mark.parametrize(
    ("second", "told"),
    [
        (
            "print('the last words', flush=True); os.kill(os.getpid(), signal.SIGKILL)",
            r"process 1 of the 2 of this training ended with exit code -9 \(SIGKILL\); its last lines were\n"
            "the last words",
        ),
        (
            "print('no disk'); sys.exit(3)",
            r"process 1 of the 2 .* ended with exit code 3; its last lines were\nno disk",
        ),
    ],
)
def test_a_process_that_dies_is_told_and_ends_the_others(second: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=told):
        run(tmp_path, second)
    assert_gone(tmp_path, 0.0)


def test_what_a_training_tells_is_told_as_it_is(tmp_path: Path) -> None:
    second = f"pathlib.Path({str(fault_file(tmp_path / 'spec.json', 1))!r}).write_text('the loss is nan'); sys.exit(1)"
    with pytest.raises(ValueError, match=r"^the loss is nan$"):
        run(tmp_path, second)
    assert_gone(tmp_path, 0.0)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_processes_end_with_the_one_that_started_them(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(WAITS, encoding="utf-8")
    code = (
        # a background job of a shell ignores Ctrl+C, and so does all that it starts
        "import pathlib, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from tests.learning.test_children import *; "
        f"run_children(pathlib.Path({str(tmp_path / 'spec.json')!r}), TWO, 'cpu', [{str(tmp_path / 'worker.py')!r}])"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2], stderr=subprocess.DEVNULL)
    try:
        limit = time.monotonic() + 120
        while len([path for path in tmp_path.glob("pid-*") if path.read_text()]) < 2:
            assert time.monotonic() < limit
            assert parent.poll() is None
            time.sleep(0.05)
        os.kill(parent.pid, number)
        parent.wait(20)
    finally:
        parent.kill()
    assert_gone(tmp_path)
