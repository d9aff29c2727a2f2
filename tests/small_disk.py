"""A run on a disk that fills up; `python -m tests.small_disk PROJECT BYTES`, in a mount namespace of its own (Linux).

The results of the project move to a disk in memory that has so many bytes left. Then the stages run, the disk gets
room, and they run again. Prints what was seen as one line of JSON: the disk is gone with the namespace.
"""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.kill_and_resume import ENV, PARAMS, TABLES, digests, finished_rows

from tests.project_copy import PROJECT, kedro_run

BOTH = "data_generation,preference_labeling"
NAMES = (*TABLES["data_generation"], *TABLES["preference_labeling"])
ALONE = ("unshare", "--mount", "--map-root-user")


@dataclass(frozen=True)
class Seen:
    """How the run on the full disk ended, what was there then, and how it ended once there was room.

    `halves` are the files left under a temporary name.
    """

    first_status: int
    first_terminal: str
    finished: dict[str, int]
    halves: list[str]
    second_status: int
    second_terminal: str
    digests: dict[str, str]


def can_mount() -> bool:
    """Tell whether this machine lets a test have a disk of its own."""
    if not shutil.which("unshare"):
        return False
    mounted = subprocess.run([*ALONE, "mount", "-t", "tmpfs", "none", "/mnt"], check=False, capture_output=True)
    return mounted.returncode == 0


def run_on_a_small_disk(project: Path, room: int) -> Seen:
    """Run this module in a namespace and return what it saw."""
    command = [*ALONE, sys.executable, "-m", "tests.small_disk", str(project), str(room)]
    done = subprocess.run(command, cwd=PROJECT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return Seen(**json.loads(done.stdout))


def main() -> None:
    """See what happens."""
    project, room = Path(sys.argv[1]), int(sys.argv[2])
    data, before = project / "data" / ENV, project / "before"
    shutil.copytree(data, before)
    _mount("-t", "tmpfs", "none", str(data))
    shutil.copytree(before, data, dirs_exist_ok=True)
    disk = os.statvfs(data)
    used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
    _mount("-o", f"remount,size={used + room}", str(data))
    first = kedro_run(project, f"--env={ENV}", f"--pipelines={BOTH}", PARAMS)
    finished = finished_rows(project, NAMES)
    halves = [str(file) for file in data.rglob("*.part")]
    _mount("-o", "remount,size=50%", str(data))
    second = kedro_run(project, f"--env={ENV}", f"--pipelines={BOTH}", PARAMS)
    seen = Seen(
        first_status=first.returncode,
        first_terminal=first.stdout + first.stderr,
        finished=finished,
        halves=halves,
        second_status=second.returncode,
        second_terminal=second.stdout + second.stderr,
        digests=digests(project, NAMES) if second.returncode == 0 else {},
    )
    print(json.dumps(asdict(seen)))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


if __name__ == "__main__":
    main()
