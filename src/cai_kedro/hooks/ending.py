"""How a run ends that does not get to its end: one or two lines, the right exit code, no wall of traceback."""

import atexit
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from kedro.config import MissingConfigException
from kedro.io import DatasetError
from omegaconf.errors import OmegaConfBaseException

from cai_kedro.core.gates import GateClosed
from cai_kedro.hooks.faults import PreflightError
from cai_kedro.hooks.terminal import prepare_terminal

logger = logging.getLogger(__name__)

#: What wrong input raises before a run; anything else is a fault of the program and keeps its traceback.
_OF_INPUT = (ValueError, OSError, DatasetError, MissingConfigException, OmegaConfBaseException)


class Interrupted(KeyboardInterrupt):
    """Somebody, or the system, wants the run to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def orderly(stage: Callable[[], str | None]) -> Iterator[None]:
    """Show how a run ended that was interrupted, or that never began.

    `stage` names the stage that is running, None before the first one. Raises `PreflightError` for wrong input before
    the first stage, and where a run does not pass a bar of its parameters; Ctrl-C and SIGTERM end the process with 130
    and 143, as a shell expects it.
    """
    prepare_terminal()
    with _raised(signal.SIGINT, signal.SIGTERM):
        try:
            yield
        except KeyboardInterrupt as interrupt:
            _leave(getattr(interrupt, "number", signal.SIGINT), stage())
        except GateClosed as gate:
            raise PreflightError(f"the run ended in {stage()}: {_sentence(gate)}") from gate
        except _OF_INPUT as error:
            if stage() is not None:
                raise
            logger.debug("nothing was run", exc_info=True)
            raise PreflightError(f"nothing was run: {_sentence(error)}") from error


def _sentence(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text if text and isinstance(error, ValueError | DatasetError) else f"{type(error).__name__}: {text}"


@contextmanager
def _raised(*signals: int) -> Iterator[None]:
    """Let signals raise `Interrupted`; in a thread that gets none, nothing is changed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _: FrameType | None) -> NoReturn:
    for other in (signal.SIGINT, signal.SIGTERM):  # a second one, while the first is dealt with, ends at once
        signal.signal(other, signal.SIG_DFL)
    raise Interrupted(number)


def _leave(number: int, stage: str | None) -> NoReturn:
    name = {signal.SIGINT: "Ctrl-C"}.get(signal.Signals(number), signal.Signals(number).name)
    where = f"in {stage}" if stage else "before the first stage"
    logger.warning("stopped by %s %s: finished tables, models, shards and checkpoints are kept", name, where)
    logger.warning("to go on, give the same command again: finished shards are read (docs/guides/resuming.md)")
    code = 128 + number
    if any(not thread.daemon and thread is not threading.current_thread() for thread in threading.enumerate()):
        # a request to a server, for instance, would be waited for until its time-out
        _now(code)
    sys.exit(code)


def _now(code: int) -> NoReturn:
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
