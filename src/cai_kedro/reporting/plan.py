"""What a run will cost, as a table for the terminal."""

from collections.abc import Mapping, Sequence

from cai_kedro.metrics.estimate import Estimate
from cai_kedro.metrics.memory import StageMemory, told
from cai_kedro.metrics.workload import Effort, Load, Prices

_HEAD = ("stage", "rows", "calls", "prompt tokens", "shared", "written", "hours")
_EFFORTS = ("method", "lines by people", "labels by people", "model calls", "prompt tokens", "written")
_GIGA = 1e9
_TENFOLD = 10.0


def render_plan(loads: Mapping[str, Load], total: Load, *, models: int, prices: Prices | None, currency: str) -> str:
    """Write one line per stage, the total, the disk (bytes of the checkpoints in `models`) and the money."""
    rows = [_HEAD, *(_line(name, load) for name, load in loads.items()), _line("all", total)]
    lines = _aligned(rows)
    rule = "─" * len(lines[0])
    disk = f"disk: {_gigabytes(models)} of checkpoints, {_gigabytes(total.stored_bytes)} of texts before compression"
    money = [] if prices is None else [f"tokens cost {total.price(prices):,.2f} {currency}"]
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], disk, *money])


def render_efforts(efforts: Sequence[Effort]) -> str:
    """Write one line per method: what people write and label, and what models are asked."""
    rows = [
        _EFFORTS,
        *(
            (each.method, *map(compact, (each.lines, each.labels, each.calls, each.prompt_tokens, each.written_tokens)))
            for each in efforts
        ),
    ]
    lines = _aligned(rows)
    return "\n".join([lines[0], "─" * len(lines[0]), *lines[1:]])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Write rows with as wide columns as they need, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) if place else cell.ljust(width) for place, (cell, width) in enumerate(cells))
        for row in rows
        for cells in [list(zip(row, widths, strict=True))]
    ]


def render_memory(stages: Sequence[StageMemory]) -> str:
    """Write one line per stage: its peak, and the bytes of each part."""
    width = max((len(stage.stage) for stage in stages), default=0)
    lines = [
        f"{stage.stage:<{width}}  {told(stage.peak):>8}  "
        + ", ".join(f"{name} {told(size)}" for name, size in stage.parts.items())
        for stage in stages
    ]
    return "\n".join(lines)


def _line(name: str, load: Load) -> tuple[str, ...]:
    counts = (load.rows, load.calls, load.prompt_tokens, load.shared_tokens, load.written_tokens)
    return (
        name,
        *(compact(count) if name != "all" or place else "" for place, count in enumerate(counts)),
        hours(load.hours),
    )


def hours(estimate: Estimate) -> str:
    """Write hours with their interval: `1.23 [1.10, 1.36]`."""
    value = _plain(estimate["value"])
    if estimate["low"] is None or estimate["high"] is None:
        return value
    return f"{value} [{_plain(estimate['low'])}, {_plain(estimate['high'])}]"


def compact(number: int) -> str:
    """Write a count on few characters: 950, 12,345, 1.65 M, 3.7 G; – for none."""
    if number == 0:
        return "–"
    for size, letter in ((1e9, "G"), (1e6, "M")):
        if number >= size:
            return f"{number / size:.3g} {letter}"
    return f"{number:,}"


def _plain(value: float) -> str:
    return f"{value:,.0f}" if value >= _TENFOLD**2 else f"{value:.3g}" if value >= 1 else f"{value:.4f}"


def _gigabytes(size: int) -> str:
    return f"{size / _GIGA:.3g} GB"
