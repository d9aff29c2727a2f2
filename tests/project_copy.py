"""A copy of this project in a folder of its own, and `kedro run` in it: as after a clone, without the results."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]
LIMIT = 900  # seconds; a run that hangs is a failed test


def copy_project(folder: Path) -> Path:
    """Copy what a run reads: conf without `local`, raw prompts, pyproject.toml. The package is the installed one."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(PROJECT / "conf", folder / "conf", ignore=shutil.ignore_patterns("local"))
    (folder / "conf" / "local").mkdir()
    shutil.copytree(PROJECT / "data" / "01_raw", folder / "data" / "01_raw")
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(PROJECT / name, folder)
    (folder / "src").mkdir()  # Kedro wants one
    return folder


def kedro_run(project: Path, *arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    """Type `kedro run` in a project; see `kedro`."""
    return kedro(project, "run", *arguments, code=code)


def kedro(project: Path, *arguments: str, code: str = "", typed: str | None = None) -> subprocess.CompletedProcess[str]:
    """Type a command of Kedro in a project, offline, on one thread.

    `code` runs before in the same process; `typed` comes from a pipe.
    """
    with kedro_start(project, *arguments, code=code, piped=typed is not None) as process:
        try:
            out, err = process.communicate(typed, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def kedro_start(project: Path, *arguments: str, code: str = "", piped: bool = False) -> subprocess.Popen[str]:
    """Type a command as `kedro` does, and do not wait for its end."""
    start = f"{code}\nfrom kedro.framework.cli import main\nmain()"
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "KEDRO_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1"}
    path = os.pathsep.join([str(PROJECT / "src"), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", start, *arguments],
        cwd=project,
        env={**os.environ, **offline, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
        stdin=subprocess.PIPE if piped else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
