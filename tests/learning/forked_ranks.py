"""The processes of a training, forked from one that has imported all of it: `python -m` takes many seconds for that."""

import logging
import multiprocessing
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from cai_kedro.learning import children, worker
from cai_kedro.learning.finite import FiniteTraining
from cai_kedro.learning.processes import Processes
from tests.learning import kill_trainings


def run_forked(spec: Path, processes: Processes, device: str, kill: tuple[int, int] | None = None) -> None:
    """Do what `children.run_children` does; `kill`: a process, and the step that it does not live to the end of."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([kill_trainings.__name__, __name__])
    shared = children._shared_environment(processes, device)
    ranks = [
        context.Process(target=_rank, args=(rank, shared, spec, kill and kill[1] if kill and kill[0] == rank else None))
        for rank in range(processes.processes)
    ]
    for each in ranks:
        each.start()
    while any(each.is_alive() for each in ranks) and not any(each.exitcode for each in ranks):
        for each in ranks:
            each.join(0.02)
    codes = [each.exitcode for each in ranks]
    for each in ranks:
        each.kill()
        each.join()
    if any(codes):
        log = "\n".join(log_file(spec, rank).read_text(encoding="utf-8")[-3000:] for rank in range(len(ranks)))
        raise RuntimeError(f"exit codes {codes}\n{log}")


def log_file(spec: Path, rank: int) -> Path:
    return spec.parent.parent / f"rank-{rank}.log"


def _rank(rank: int, shared: Mapping[str, str], spec: Path, kill_at: int | None) -> None:
    os.environ |= {**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
    torch.set_num_threads(1)
    logging.basicConfig(filename=log_file(spec, rank), level=logging.INFO, force=True)
    if kill_at is not None:
        _kill_in_step(kill_at)
    worker.work(spec)


def _kill_in_step(number: int) -> None:
    step, begun = FiniteTraining.training_step, []

    def training_step(trainer: FiniteTraining, *args: Any, **kwargs: Any) -> Any:
        begun.append(1)
        if len(begun) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(trainer, *args, **kwargs)

    FiniteTraining.training_step = training_step  # type: ignore[method-assign]
