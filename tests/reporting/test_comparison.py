import pandas as pd
import pytest

from cai_kedro.reporting.comparison import as_table, differences, draw_differences, draw_frontiers

ELO = "elo.harmlessness.rl_cai"


def _metrics(value: float, half: float, n: int = 600) -> dict[str, float]:
    return {
        **{ELO: value, f"{ELO}.low": value - half, f"{ELO}.high": value + 2 * half, f"{ELO}.n": n},
        "elo.helpfulness.rl_cai": 5.0, "elo.helpfulness.rl_cai.n": 9,
        "kl": 3.0,
    }  # fmt: skip


@pytest.fixture
def table() -> pd.DataFrame:
    return as_table({"first": _metrics(100, 3), "second": _metrics(110, 4, 500)})


def test_metrics_of_mlflow_become_rows(table: pd.DataFrame) -> None:
    assert list(table.columns) == ["run", "metric", "value", "low", "high", "n"]
    rows = table.set_index(["run", "metric"])
    assert rows.loc[("second", ELO)].tolist() == [110, 106, 118, 500]
    assert pd.isna(rows.loc[("first", "elo.helpfulness.rl_cai"), "low"])
    assert len(table) == 4, "what has no n is no estimate"


def test_a_difference_has_the_errors_of_both_runs(table: pd.DataFrame) -> None:
    rows = differences(table, "first").set_index("metric")
    assert set(rows["run"]) == {"second"}
    # below: 4 of the second, 2 * 3 above of the first; above: 2 * 4 and 3
    assert rows.loc[ELO, "value"] == 10
    assert rows.loc[ELO, "low"] == pytest.approx(10 - (4**2 + 6**2) ** 0.5)
    assert rows.loc[ELO, "high"] == pytest.approx(10 + (8**2 + 3**2) ** 0.5)
    assert rows.loc[ELO, "n"] == 500
    assert rows.loc["elo.helpfulness.rl_cai", ["value", "low", "high"]].tolist() == [0, 0, 0]
    back = differences(table, "second").set_index("metric")
    assert back.loc[ELO, "low"] == pytest.approx(-rows.loc[ELO, "high"])
    with pytest.raises(ValueError, match="no run 'third' to compare with; the runs are"):
        differences(table, "third")


def test_figures_have_a_trace_a_run(table: pd.DataFrame) -> None:
    frontiers = draw_frontiers(table)
    assert [(trace.name, trace.x[0], trace.y[0]) for trace in frontiers.data] == [("first", 5, 100), ("second", 5, 110)]
    assert frontiers.data[1].error_y.array[0] == 8
    drawn = draw_differences(differences(table, "first"), {"missing": "–", ELO: "harmlessness Elo"})
    assert (list(drawn.data[0].x), list(drawn.data[0].y)) == ([10], ["harmlessness Elo"])
    assert len(draw_differences(differences(table[table["run"] == "first"], "first"), {ELO: "x"}).data) == 0
