"""Processes that train together: started, read line by line, and ended with the one that started them."""

import logging
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from cai_kedro.learning.processes import Processes
from cai_kedro.learning.ranks import SHARDING

logger = logging.getLogger(__name__)

WORKER = ("-m", "cai_kedro.learning.worker")
LAST_LINES = 20
#: Seconds that a process has to end by itself, and then until the next look.
_PATIENCE, _LOOK = 5.0, 0.1
_LEVEL = re.compile(r"^(DEBUG|INFO|WARNING|ERROR|CRITICAL) ")


@dataclass
class _Child:
    rank: int
    process: subprocess.Popen[str]
    last: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))


def fault_file(spec: Path, rank: int) -> Path:
    """Return where a process writes, in one sentence, why its training stops."""
    return spec.with_name(f"fault-{rank}.txt")


def run_children(spec: Path, processes: Processes, device: str, worker: Sequence[str] = WORKER) -> None:
    """Run the processes of a training to their end; what they log stands in this process's log, each with its number.

    Raises `ValueError` with the sentence of a process whose training stops, and `RuntimeError` with exit code and last
    lines of one that ends otherwise. None is left behind, however this ends; when this process is killed, they find
    their input closed and end.
    """
    shared = _shared_environment(processes, device)
    command = [sys.executable, *worker, str(spec)]
    children: list[_Child] = []
    lines: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
    try:
        for rank in range(processes.processes):
            children.append(_Child(rank, _start(command, {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)})))
            threading.Thread(target=_read, args=(children[-1], lines), daemon=True).start()
        while any(child.process.poll() is None for child in children):
            _log(children, lines, wait=_LOOK)
            if any(child.process.poll() for child in children):
                break
        time.sleep(_LOOK)  # for the last lines, and for who else ends now
        _log(children, lines)
        codes = {child.rank: child.process.poll() for child in children}
    finally:
        _end(children)
    for rank in codes:
        if fault_file(spec, rank).is_file():
            raise ValueError(fault_file(spec, rank).read_text(encoding="utf-8"))
    for child in sorted(children, key=lambda child: codes[child.rank] or 1):  # who was killed before who missed it
        if codes[child.rank]:
            raise RuntimeError(_told(child, codes[child.rank] or 0, processes.processes))


def _shared_environment(processes: Processes, device: str) -> dict[str, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    number = processes.processes
    threads = max(1, torch.get_num_threads() // number) if device == "cpu" else torch.get_num_threads()
    return {
        **os.environ,
        "WORLD_SIZE": str(number),
        "LOCAL_WORLD_SIZE": str(number),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": str(threads),
        "TORCH_CPP_LOG_LEVEL": "ERROR",  # DDP warns of parameters that it looked for in vain
        SHARDING: processes.sharding,
    }


def _start(command: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # noqa: S603
        command,
        env=environment,
        stdin=subprocess.PIPE,  # closed by the system when this process ends, however it ends
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # Ctrl-C is this process's to deal with
    )


def _read(child: _Child, lines: "queue.SimpleQueue[tuple[int, str]]") -> None:
    assert child.process.stdout is not None
    for line in child.process.stdout:
        lines.put((child.rank, line.rstrip("\n")))


def _log(children: Sequence[_Child], lines: "queue.SimpleQueue[tuple[int, str]]", wait: float = 0.0) -> None:
    """Log what the processes wrote; wait so long for a first line."""
    while True:
        try:
            rank, line = lines.get(timeout=wait) if wait else lines.get_nowait()
        except queue.Empty:
            return
        wait = 0.0
        children[rank].last.append(line)
        level = _LEVEL.match(line)
        text = line[level.end() :] if level else line
        logger.log(logging.getLevelNamesMapping()[level[1]] if level else logging.INFO, "[process %d] %s", rank, text)


def _end(children: Sequence[_Child]) -> None:
    for child in children:
        if child.process.poll() is None:
            child.process.terminate()
    limit = time.monotonic() + _PATIENCE
    for child in children:
        try:
            child.process.wait(max(0.0, limit - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()
        if child.process.stdin is not None:
            child.process.stdin.close()


def _told(child: _Child, code: int, number: int) -> str:
    how = f"exit code {code}" if code > 0 else f"exit code {code} ({signal.Signals(-code).name})"
    last = "\n".join(child.last)
    return f"process {child.rank} of the {number} of this training ended with {how}; its last lines were\n{last}"
