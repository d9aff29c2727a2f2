import pandas as pd
import pytest

from cai_kedro.metrics.between_runs import compare_sides
from cai_kedro.reporting.comparison import as_table, draw_differences, draw_frontiers, same_settings

ELO = "elo.harmlessness.rl_cai"


def _metrics(value: float, half: float = 3, n: int = 600) -> dict[str, float]:
    return {
        **{ELO: value, f"{ELO}.low": value - half, f"{ELO}.high": value + 2 * half, f"{ELO}.n": n},
        "elo.helpfulness.rl_cai": 5.0, "elo.helpfulness.rl_cai.n": 9,
        "kl": 3.0,
    }  # fmt: skip


@pytest.fixture
def table() -> pd.DataFrame:
    return as_table({"a1": _metrics(100), "b1": _metrics(110, 4, 500), "b2": _metrics(130), "b3": _metrics(120)})


def test_metrics_of_mlflow_become_rows(table: pd.DataFrame) -> None:
    assert list(table.columns) == ["run", "metric", "value", "low", "high", "n"]
    rows = table.set_index(["run", "metric"])
    assert rows.loc[("b1", ELO)].tolist() == [110, 106, 118, 500]
    assert pd.isna(rows.loc[("a1", "elo.helpfulness.rl_cai"), "low"])
    assert len(table) == 8, "what has no n is no estimate"


def test_runs_that_differ_in_their_seed_alone_are_one_side() -> None:
    settings = {
        "first": {"seed": "0", "kl": "0.1"},
        "other": {"seed": "0", "kl": "0.2"},
        "again": {"seed": "1", "kl": "0.1"},
        "more": {"seed": "2", "kl": "0.1", "new": "x"},
    }
    assert same_settings(settings) == [["first", "again"], ["other"], ["more"]]


def test_a_colour_is_a_side_and_a_trace_a_run(table: pd.DataFrame) -> None:
    traces = draw_frontiers(table, {"A": ["a1"], "B": ["b1", "b2", "b3"]}).data
    assert [(trace.name, trace.x[0], trace.y[0]) for trace in traces] == [
        ("A, a1", 5, 100),
        ("B, b1", 5, 110),
        ("B, b2", 5, 130),
        ("B, b3", 5, 120),
    ]
    assert len({trace.marker.color for trace in traces[1:]} - {traces[0].marker.color}) == 1
    assert traces[1].error_y.array[0] == 8


def test_one_run_a_side_has_a_hollow_point_without_a_bar(table: pd.DataFrame) -> None:
    (trace,) = draw_differences(compare_sides(table, ["a1"], ["b1"]), {"missing": "–", ELO: "harmlessness Elo"}).data
    assert (list(trace.x), list(trace.y)) == ([10], ["harmlessness Elo"])
    assert (list(trace.error_x.array), list(trace.marker.symbol)) == ([0], ["circle-open"])
    assert trace.customdata[0] == (
        "first: 100.00 (1 run); second: 110.00 (1 run); n = 500; one run a side: nothing is known of another training"
    )


def test_several_runs_a_side_have_an_interval_and_a_verdict() -> None:
    runs = {"a1": 100, "a2": 110, "a3": 120, "b1": 400, "b2": 410, "b3": 420}
    table = as_table({run: _metrics(value) for run, value in runs.items()})
    (trace,) = draw_differences(compare_sides(table, ["a1", "a2", "a3"], ["b1", "b2", "b3"]), {ELO: "Elo"}).data
    assert trace.x[0] == 300
    assert 20 < trace.error_x.array[0] < 40
    assert trace.error_x.arrayminus[0] == pytest.approx(trace.error_x.array[0])
    assert trace.marker.symbol[0] == "circle"
    assert "first: 110.00 (3 runs, sd over runs 10.00)" in trace.customdata[0]
    assert trace.customdata[0].endswith("n = 600; different")
