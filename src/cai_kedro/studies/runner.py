"""Runs the chains of a study one after another, each in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from cai_kedro.core.lock import locked
from cai_kedro.studies.chains import LOCK, LOG, Chain
from cai_kedro.studies.table import in_words

#: So long may a chain take to stop when it is asked to.
_PATIENCE = 60.0


def run_chains(chains: Sequence[Chain], say: Callable[[str], None]) -> list[Chain]:
    """Run what is not finished yet, in order; returns the chains that failed, which stop no other one."""
    failed = []
    for place, chain in enumerate(chains, start=1):
        head = f"[{place} of {len(chains)}] {chain.told}"
        if chain.finished:
            say(f"{head}: finished before, {time_of(chain)}")
            continue
        say(f"{head}: begins; it writes to {chain.folder / LOG}")
        code = _run(chain.folder)
        if code == 0:
            say(f"{head}: finished, {time_of(chain)}{_shared(chain)}")
        else:
            failed.append(chain)
            say(f"{head}: failed with exit code {code}: {last_line(chain.folder / LOG)}")
    return failed


def check_free(chain: Chain) -> None:
    """Raise `core.lock.InUseError` where the process of a chain is still there, whose `kedro study` was killed."""
    with ExitStack() as stack:  # the process of the chain takes the lock anew
        stack.enter_context(locked(chain.folder / LOCK, f"the chain {chain.told}"))


def time_of(chain: Chain) -> str:
    """Write the time of a chain over all attempts that ended; a killed one left no time."""
    attempts = chain.status["attempts"]
    ended = [each["seconds"] for each in attempts if each["seconds"] is not None]
    killed = len(attempts) - len(ended)
    return in_words(sum(ended)) + (f" and {killed} killed attempt{'s' if killed > 1 else ''}" if killed else "")


def last_line(log: Path) -> str:
    """Return the last line of a log that says something."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "it wrote nothing")


def _shared(chain: Chain) -> str:
    return "; what its seed's first setting made alike was copied" if chain.status.get("shared") else ""


def _run(folder: Path) -> int:
    with (folder / LOG).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "cai_kedro.studies.chain_process", str(folder)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            return process.wait()
        except BaseException:  # Ctrl-C went to both, SIGTERM to us alone
            process.terminate()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
