"""Estimates as people read them: a value, its 95 % interval, the number of observations."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Metrics = Mapping[str, Mapping[str, Any]]

#: A true minus sign, as wide as a plus.
MINUS = "−"
#: Keeps a number and its unit on one line.
SPACE = "\u00a0"
MOST_DIGITS = 6


def number(value: float, digits: int = 0) -> str:
    """Write a number: `-12.4` as `−12`, and never `−0`."""
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def digits_for(estimates: Iterable[Mapping[str, Any]], digits: int, scale: float = 1.0) -> int:
    """Return how many digits to write estimates with: `digits`, more where an interval would shrink to one number."""
    widths = [
        scale * (each["high"] - each["low"])
        for each in estimates
        if each["low"] is not None and each["high"] is not None
    ]
    return finer(min((width for width in widths if width > 0), default=None), digits)


def finer(distance: float | None, digits: int) -> int:
    """Return with how many digits, at least `digits`, two numbers so far apart are written as two."""
    while distance and digits < MOST_DIGITS and 10**-digits > distance / 2:
        digits += 1
    return digits


def told(estimate: Mapping[str, Any], digits: int = 0, scale: float = 1.0, unit: str = "", n: bool = True) -> str:
    """Write an estimate: `57 % [53, 61], n = 600`; without an interval where there is none."""
    text = f"{number(scale * estimate['value'], digits)}{unit}"
    low, high = estimate["low"], estimate["high"]
    if low is not None and high is not None:
        text += f" [{number(scale * low, digits)}, {number(scale * high, digits)}]"
    return f"{text}, n{SPACE}={SPACE}{estimate['n']:,}" if n else text


def percent(estimate: Mapping[str, Any], n: bool = True) -> str:
    """Write a share as a percentage."""
    return told(estimate, scale=100, unit=f"{SPACE}%", n=n)


def points(estimate: Mapping[str, Any]) -> str:
    """Write a difference of two shares in percentage points, with its sign."""
    sign = "+" if estimate["value"] > 0 else ""
    return f"{sign}{told(estimate, digits=1, scale=100, unit=' points')}"


def differs(estimate: Mapping[str, Any]) -> bool:
    """Tell whether the interval leaves 0 out."""
    low, high = estimate["low"], estimate["high"]
    return low is not None and high is not None and (low > 0 or high < 0)


def listed(names: Sequence[str]) -> str:
    """Join names: `a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def observations(estimates: list[Mapping[str, Any]]) -> str:
    """Write how many observations stand behind some estimates: `n = 600`, or a range."""
    counts = [int(estimate["n"]) for estimate in estimates]
    if not counts:
        return "n = 0"
    low, high = min(counts), max(counts)
    return f"n{SPACE}={SPACE}{low:,}" if low == high else f"n{SPACE}={SPACE}{low:,}–{high:,}"


def axes_in(metrics: Metrics, prefix: str, parts: int = 1) -> list[str]:
    """Return the axes of metrics named `{prefix}.{axis}` and `parts` more words, in order of appearance."""
    dotted = f"{prefix}."
    names = [name.removeprefix(dotted).split(".") for name in metrics if name.startswith(dotted)]
    return list(dict.fromkeys(axis for axis, *rest in names if len(rest) == parts))


def below(metrics: Metrics, prefix: str) -> dict[str, Mapping[str, Any]]:
    """Return the metrics that have one more word after the prefix: `elo.harmlessness` gives policy → estimate."""
    dotted = f"{prefix}."
    return {
        name.removeprefix(dotted): estimate
        for name, estimate in metrics.items()
        if name.startswith(dotted) and "." not in name.removeprefix(dotted)
    }
