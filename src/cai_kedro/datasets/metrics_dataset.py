"""Figures with their intervals, in JSON."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.io import DatasetError

from cai_kedro.datasets.file_dataset import FileDataset

Metrics = Mapping[str, Mapping[str, float | int | None]]
_FIELDS = {"value", "low", "high", "n"}


class MetricsDataset(FileDataset[Metrics, Metrics]):
    """A mapping of metric name to `{value, low, high, n}`; `low` and `high` are null where there is no interval.

    Kept as a file of ours and published from a hook: a metrics dataset of MLflow never exists for
    `--only-missing-outputs`, which would run its node again.
    """

    def _format(self) -> str:
        return "metrics (JSON)"

    def _encode(self, data: Metrics) -> bytes:
        check_metrics(data, str(self._filepath))
        return (json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False, default=_plain) + "\n").encode()

    def _decode(self, content: bytes, path: Path) -> Metrics:
        metrics = json.loads(content)
        check_metrics(metrics, str(path))
        return metrics


def check_metrics(metrics: Any, where: str) -> None:
    """Raise `DatasetError` unless every entry is a finite figure with its interval and its n."""
    if not isinstance(metrics, Mapping):
        raise DatasetError(f"{where}: metrics are a mapping of name to figure, got {type(metrics).__name__}")
    for name, figure in metrics.items():
        if not isinstance(figure, Mapping) or set(figure) != _FIELDS:
            got = sorted(figure) if isinstance(figure, Mapping) else figure
            raise DatasetError(f"{where}: the metric {name!r} needs value, low, high and n, got {got!r}")
        low, value, high, n = (figure[field] for field in ("low", "value", "high", "n"))
        if not _finite(value) or (low is None) != (high is None):
            raise DatasetError(
                f"{where}: the metric {name!r} needs a finite value, and both ends of its interval or none, "
                f"got {value=}, {low=}, {high=}"
            )
        if low is not None and not (_finite(low) and _finite(high) and low <= high):
            raise DatasetError(
                f"{where}: the interval of {name!r} must be finite with low <= high, got {low=}, {high=}"
            )
        if not _finite(n) or int(n) != n or n < 0:
            raise DatasetError(f"{where}: n of the metric {name!r} must be a count, got {n!r}")


def _finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except TypeError:
        return False


def _plain(value: Any) -> Any:
    """Turn NumPy's scalars into Python's."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
