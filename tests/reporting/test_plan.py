from cai_kedro.metrics.estimate import Estimate
from cai_kedro.metrics.workload import Load, Prices, total_of
from cai_kedro.reporting.plan import compact, hours, render_plan


def load(calls: int, value: float) -> Load:
    return Load(10, calls, 4_000_000, 3_000_000, 1000, Estimate(value=value, low=value / 2, high=value * 2, n=3), 10**9)


def test_the_table() -> None:
    loads = {"labels": load(20, 1.0), "revisions": load(1_462_648, 250.0)}
    text = render_plan(loads, total_of(loads), models=36 * 10**9, prices=Prices(1.0, 0.5, 2.0), currency="EUR")
    lines = text.split("\n")
    assert lines[0].split() == ["stage", "rows", "calls", "prompt", "tokens", "shared", "written", "hours"]
    assert lines[2].split() == ["labels", "10", "20", "4", "M", "3", "M", "1,000", "1", "[0.5000,", "2]"]
    assert lines[3].split()[:3] == ["revisions", "10", "1.46"]
    assert lines[5].split()[:3] == ["all", "1.46", "M"]  # rows of different kinds make no sum
    assert lines[-2] == "disk: 36 GB of checkpoints, 2 GB of texts before compression"
    assert lines[-1] == "tokens cost 5.00 EUR"  # 2 M own at 1.00, 6 M cached at 0.50, 2,000 written at 2.00
    assert len({len(line) for line in lines[:4]}) == 1


def test_no_prices_no_money() -> None:
    loads = {"labels": load(20, 1.0)}
    assert "cost" not in render_plan(loads, total_of(loads), models=0, prices=None, currency="")


def test_numbers() -> None:
    assert [compact(n) for n in (0, 950, 12_345, 1_645_479, 3_700_000_000)] == ["–", "950", "12,345", "1.65 M", "3.7 G"]
    assert hours(Estimate(value=0.01234, low=None, high=None, n=1)) == "0.0123"
    assert hours(Estimate(value=1234.5, low=1.0, high=1e4, n=3)) == "1,234 [1, 10,000]"
