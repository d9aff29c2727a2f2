"""The picture of a study: what each policy reached on the paper's two axes, every seed a mark (its figure 2)."""

import io
from collections.abc import Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

AXES = ("harmlessness", "helpfulness")
_WIDTH, _HEIGHT = 6.4, 4.8  # inches a setting
_MARKS = "os^Dv*P<>Xhd"


def draw_study(cells: pd.DataFrame, settings: Sequence[str]) -> str:
    """Return an SVG with a panel a setting from the figures of every seed (`CELL_COLUMNS`), "" where nothing is rated.

    A small mark is a seed, a large one the mean, a line one standard deviation over seeds to each side.
    """
    ratings = {axis: _ratings(cells, f"elo.{axis}.") for axis in AXES}
    both = pd.concat(ratings, axis=1).dropna()
    if both.empty:
        return ""
    rated = set(both.index.get_level_values("setting"))
    shown = [setting for setting in settings if setting in rated]
    policies = list(dict.fromkeys(both.index.get_level_values("policy")))
    # a date, or a salt by the clock, would give other bytes each time
    with mpl.rc_context({"svg.hashsalt": "study", "font.size": 9}):
        figure = Figure(figsize=(_WIDTH * len(shown), _HEIGHT), layout="constrained")
        panels = figure.subplots(1, len(shown), squeeze=False, sharex=True, sharey=True)[0]
        for panel, setting in zip(panels, shown, strict=True):
            _draw(panel, both.loc[setting], policies)
            panel.set_title(setting)
        panels[0].set_ylabel("helpfulness, Elo")
        named = {name: mark for panel in panels for mark, name in zip(*panel.get_legend_handles_labels(), strict=True)}
        figure.legend(named.values(), named.keys(), loc="outside right upper", fontsize=8)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    return written.getvalue()


def _ratings(cells: pd.DataFrame, prefix: str) -> pd.Series:
    rows = cells[cells["metric"].str.startswith(prefix)]
    rows = rows[rows["metric"] == prefix + rows["policy"]]
    return rows.set_index(["setting", "policy", "seed"])["value"]


def _draw(panel: Axes, ratings: pd.DataFrame, policies: Sequence[str]) -> None:
    panel.set_xlabel("harmlessness, Elo")
    panel.axhline(0, color="0.8", linewidth=0.8, zorder=0)
    panel.axvline(0, color="0.8", linewidth=0.8, zorder=0)
    present = set(ratings.index.get_level_values("policy"))
    for place, policy in enumerate(policies):
        if policy not in present:
            continue
        seeds = ratings.loc[policy]
        x, y = (seeds[axis] for axis in AXES)
        colour, mark = f"C{place % 10}", _MARKS[place % len(_MARKS)]
        panel.scatter(x, y, s=14, alpha=0.6, color=colour, marker=mark)
        panel.errorbar(
            *(x.mean(), y.mean()),
            xerr=x.std(ddof=1),
            yerr=y.std(ddof=1),
            fmt=mark,
            color=colour,
            markersize=8,
            label=policy,
        )
