"""Runs the chains of a study, some at a time, each in a process of its own."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from cai_kedro.core.lock import locked
from cai_kedro.hooks.quiet import wanted_threads
from cai_kedro.studies.chains import LOCK, LOG, Chain
from cai_kedro.studies.table import in_words

#: So long may chains take to stop when they are asked to.
_PATIENCE = 60.0
#: Seconds between two looks at who has ended.
_LOOK = 0.2


def run_chains(chains: Sequence[Chain], say: Callable[[str], None], processes: int = 1) -> list[Chain]:
    """Run what is not finished yet, so many at a time; returns the chains that failed, which stop no other one.

    They begin in order, but one whose seed's first setting is running waits for that, to copy what it made.
    """
    heads = {chain.folder: f"[{place} of {len(chains)}] {chain.told}" for place, chain in enumerate(chains, start=1)}
    waiting = []
    for chain in chains:
        if chain.finished:
            say(f"{heads[chain.folder]}: finished before, {time_of(chain)}")
        else:
            waiting.append(chain)
    environment = {**os.environ, **shared_threads(processes)}
    running: dict[Path, subprocess.Popen[bytes]] = {}
    codes: dict[Path, int] = {}
    try:
        while waiting or running:
            while len(running) < processes and (ready := next_chain(waiting, running)) is not None:
                waiting.remove(ready)
                say(f"{heads[ready.folder]}: begins; it writes to {ready.folder / LOG}")
                running[ready.folder] = _start(ready.folder, environment)
            for chain in _ended(chains, running):
                code = codes[chain.folder] = running.pop(chain.folder).returncode
                head = heads[chain.folder]
                if code == 0:
                    say(f"{head}: finished, {time_of(chain)}{_shared(chain)}")
                else:
                    say(f"{head}: failed with exit code {code}: {last_line(chain.folder / LOG)}")
    except BaseException:  # Ctrl-C went to all, SIGTERM to us alone
        _stop(list(running.values()))
        raise
    return [chain for chain in chains if codes.get(chain.folder)]


def next_chain(waiting: Sequence[Chain], running: Mapping[Path, object]) -> Chain | None:
    """Return the first chain that need not wait for its seed's first setting, None if there is none."""
    return next((chain for chain in waiting if chain.beside not in running), None)


def shared_threads(processes: int) -> dict[str, str]:
    """Return the part of the environment that gives every chain its share of the threads; nothing for one at a time."""
    if processes == 1:
        return {}
    return {"OMP_NUM_THREADS": str(max(1, wanted_threads({}) // processes))}


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
    return f"; what {chain.beside} made alike was copied" if chain.status.get("shared") else ""


def _start(folder: Path, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    with (folder / LOG).open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "cai_kedro.studies.chain_process", str(folder)],
            cwd=folder,
            env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _ended(chains: Sequence[Chain], running: Mapping[Path, "subprocess.Popen[bytes]"]) -> list[Chain]:
    """Wait until some chain has ended; return those that have."""
    while True:
        ended = [chain for chain in chains if chain.folder in running and running[chain.folder].poll() is not None]
        if ended:
            return ended
        time.sleep(_LOOK)


def _stop(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Ask all of them to stop, then wait for each; kill who does not."""
    for process in processes:
        process.terminate()
    until = time.monotonic() + _PATIENCE
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
