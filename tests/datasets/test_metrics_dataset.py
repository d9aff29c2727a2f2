from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kedro.io import DatasetError

from cai_kedro.datasets.metrics_dataset import MetricsDataset

GOOD = {"value": 0.5, "low": 0.25, "high": 0.75, "n": 12}


def test_metrics_come_back(tmp_path: Path) -> None:
    dataset = MetricsDataset(filepath=tmp_path / "elo_metrics.json")
    metrics = {"elo.harmlessness.rl_cai": GOOD, "pm_score.revision_0": {**GOOD, "low": None, "high": None}}
    dataset.save(metrics)
    assert dataset.load() == metrics


def test_numpy_scalars_become_plain_ones(tmp_path: Path) -> None:
    dataset = MetricsDataset(filepath=tmp_path / "elo_metrics.json")
    dataset.save({"a": {"value": np.float32(0.5), "low": None, "high": None, "n": np.int64(3)}})
    assert dataset.load() == {"a": {"value": 0.5, "low": None, "high": None, "n": 3}}


@pytest.mark.parametrize(
    ("metrics", "told"),
    [
        ([], r"metrics are a mapping of name to figure, got list"),
        ({"a": 0.5}, r"the metric 'a' needs value, low, high and n, got 0.5"),
        ({"a": {"value": 1}}, r"the metric 'a' needs value, low, high and n, got \['value'\]"),
        ({"a": {**GOOD, "value": float("nan")}}, r"'a' needs a finite value"),
        ({"a": {**GOOD, "value": None}}, r"'a' needs a finite value"),
        ({"a": {**GOOD, "low": None}}, r"both ends of its interval or none"),
        ({"a": {**GOOD, "high": float("inf")}}, r"the interval of 'a' must be finite with low <= high"),
        ({"a": {**GOOD, "low": 0.8}}, r"the interval of 'a' must be finite with low <= high"),
        ({"a": {**GOOD, "n": 1.5}}, r"n of the metric 'a' must be a count, got 1.5"),
        ({"a": {**GOOD, "n": -1}}, r"n of the metric 'a' must be a count, got -1"),
    ],
)
def test_a_bad_metric_is_named_and_nothing_is_written(tmp_path: Path, metrics: Any, told: str) -> None:
    with pytest.raises(DatasetError, match=rf"elo_metrics\.json: .*{told}"):
        MetricsDataset(filepath=tmp_path / "elo_metrics.json").save(metrics)
    assert not list(tmp_path.iterdir())


def test_a_bad_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "elo_metrics.json"
    path.write_text('{"a": {"value": NaN, "low": null, "high": null, "n": 1}}')
    with pytest.raises(DatasetError, match=r"elo_metrics\.json: the metric 'a' needs a finite value"):
        MetricsDataset(filepath=path).load()
    path.write_text("{")
    with pytest.raises(DatasetError, match=r"elo_metrics\.json cannot be read as metrics \(JSON\)"):
        MetricsDataset(filepath=path).load()
