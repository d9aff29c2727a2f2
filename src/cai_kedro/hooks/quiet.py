"""Keeps libraries to the point: threads in one place, no progress bars and no advice between our lines."""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

#: Not set where the user has set them. They work before the library is imported.
ENVIRONMENT = {
    "TOKENIZERS_PARALLELISM": "false",  # it warns, and deadlocks, in forked processes
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DISABLE_MLFLOW_INTEGRATION": "TRUE",  # trainers do not open runs of their own
}

#: What Kedro says of every dataset and node; the run status says it once.
_TALKATIVE = ("kedro.io", "kedro.runner", "kedro.pipeline", "kedro_mlflow", "mlflow", "alembic", "httpx", "datasets")


def ignore_known_warnings() -> None:
    """Silence what two libraries say on every run: before conf is read, and before kedro-mlflow is imported.

    Kedro 1.7 makes OmegaConf speak, and warns of stages that go back and forth between namespaces, as the labeller does
    for the hard cases that the evaluation draws: only a namespace deployed as one task would mind. kedro-mlflow 2.0
    defines a model class without type hints, and MLflow says so in colour.
    """
    warnings.filterwarnings("ignore", message=r"register_new_resolver\(\) is deprecated")
    warnings.filterwarnings("ignore", message=r"Namespace '\w+' is interrupted by nodes")
    if not isinstance(warnings.showwarning, _ShowWarning):
        warnings.showwarning = _ShowWarning(warnings.showwarning)


class _ShowWarning:
    """Shows every warning but one. MLflow overrules any filter for it."""

    def __init__(self, show: Callable[..., None]) -> None:
        self._show = show

    def __call__(self, message: Warning | str, *arguments: Any, **named: Any) -> None:
        if "Add type hints to the `predict` method" not in str(message):
            self._show(message, *arguments, **named)


def quieten() -> None:
    """Silence progress bars and advice of Hugging Face, and what Kedro says twice."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Kedro repeats what the preflight check tells
    logging.getLogger("kedro.validation").setLevel(logging.CRITICAL)
    transformers = sys.modules.get("transformers")
    if transformers is not None:
        transformers.utils.logging.set_verbosity_error()
        transformers.utils.logging.disable_progress_bar()


def wanted_threads(parameters: Mapping[str, Any]) -> int:
    """Return the number of threads: the parameter `threads`, else OMP_NUM_THREADS, else every core there is.

    Raises `ValueError` for anything but a count.
    """
    given = parameters.get("threads") or os.environ.get("OMP_NUM_THREADS") or len(os.sched_getaffinity(0))
    try:
        threads = int(given)
    except (TypeError, ValueError):
        threads = 0
    if threads < 1:
        raise ValueError(f"threads must be a count of at least 1, or null for every core, got {given!r}")
    return threads


def set_threads(threads: int) -> None:
    """Give torch so many threads. More than one process of several threads is slower than either alone."""
    import torch  # noqa: PLC0415 - seconds; commands that train nothing do not pay them

    torch.set_num_threads(threads)
