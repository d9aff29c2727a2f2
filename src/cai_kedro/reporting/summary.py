"""The table in the terminal at the end of a run: what each policy became, one line a policy."""

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

COLUMNS = ("policy", "metric", "value", "low", "high", "n")

#: The rating on an axis; it is marked where the referee was a model that labels in the training.
ELO = re.compile(r"(?P<axis>\w+?)_elo(?P<marked>_by_training_judge)?")

#: The lead of a policy over the next one in the ranking, what is told of it, and over whom.
NEIGHBOURS = re.compile(r"(?P<criterion>\w+?)_elo_gap(?P<told>|_p|_more_prompts)_over_(?P<lower>.+)")

#: A share at the prompts of one split.
BY_SPLIT = re.compile(r"(?P<share>[^.]+)\.(?P<split>.+)")

#: In front of an axis, in the referee's metrics: on which share of held-out human comparisons it is right.
REFEREE_ACCURACY = "referee.accuracy."

NO_POLICY = (
    "Nobody rated or judged the policies in this run, so how harmless and how helpful they are was not measured. What "
    "the run has are their answers, side by side in the report, and what trainings and preference models tell."
)

#: What an interval of one run does not hold; below every table that has some.
ONE_TRAINING = (
    "Brackets are 95 % intervals over the prompts of this one training. Another training, with another seed or on "
    "another processor, can differ by more than that."
)

NOTHING = "–"
GAP = "   "


def render_summary(table: pd.DataFrame) -> str:
    """Write the long table `policy, metric, value, low, high, n` as text, policies in their order of appearance.

    A column is there for each metric that some policy has: Elo figures with their 95 % interval, shares (0 to 1) as
    percentages, with their interval where no policy is rated; the second line says on how many observations a column
    rests, a range where the policies differ. What a policy lacks is a dash. Below stand shares by split and the
    neighbours of each ranking, if there are any, and what the intervals do not hold. Raises `ValueError` where a
    column is missing or a figure stands twice.
    """
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise ValueError(f"a policy summary needs the columns {', '.join(COLUMNS)}: missing {', '.join(missing)}")
    twice = table[table.duplicated(["policy", "metric"])]
    if len(twice):
        raise ValueError(f"the policy summary has {tuple(twice.iloc[0][['policy', 'metric']])} twice; one row each")

    if table.empty:
        return _fold(NO_POLICY)
    cells = table.set_index(["policy", "metric"])
    policies = list(dict.fromkeys(table["policy"]))
    columns = [["policy", "", *policies]]
    # beside ratings the line would get too long; where nobody rates, the shares are what the run has to tell
    write_share = _share if any(map(ELO.fullmatch, columns_of(table))) else _share_within
    for metric in columns_of(table):
        write = _elo if ELO.fullmatch(metric) else write_share
        rows = [cells.loc[(policy, metric)] if (policy, metric) in cells.index else None for policy in policies]
        cells_of = (NOTHING if row is None else write(row) for row in rows)
        columns.append([heading_of(metric), _observations(rows), *cells_of])
    below = [each for each in (split_columns(table, write_share), neighbour_columns(table)) if each]
    bounds = table[["low", "high"]].astype(float)
    notes = [ONE_TRAINING] if (bounds["low"] < bounds["high"]).any() else []
    return "\n\n".join([_align(columns), *map(_align, below), *map(_fold, notes)])


def referee_lines(metrics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return, for each axis, how often the referee agrees with people; nothing of one that was not measured.

    `metrics` are those of the referee, by name, each with `value, low, high, n`.
    """
    return [
        f"The referee of {name.removeprefix(REFEREE_ACCURACY)} is a preference model of human comparisons. On those "
        f"that it did not learn from it agrees with people in {_share(pd.Series(told))} "
        f"[{_whole(100 * told['low'])}, {_whole(100 * told['high'])}], n = {told['n']}."
        for name, told in metrics.items()
        if name.startswith(REFEREE_ACCURACY)
    ]


def columns_of(table: pd.DataFrame) -> list[str]:
    """Return the metrics with a column of their own, ratings first, in order of appearance."""
    own = [
        metric
        for metric in dict.fromkeys(map(str, table["metric"]))
        if not NEIGHBOURS.fullmatch(metric) and not is_by_split(metric)
    ]
    return sorted(own, key=lambda metric: ELO.fullmatch(metric) is None)


def heading_of(metric: str) -> str:
    """Return what stands above a column: `harmlessness Elo`, with a mark where the referee labels in the training."""
    rating = ELO.fullmatch(metric)
    if rating is None:
        return metric
    return f"{rating['axis']} Elo" + (" (training judge)" if rating["marked"] else "")


def split_columns(table: pd.DataFrame, write: Callable[[pd.Series], str]) -> list[list[str]]:
    """Return shares by split: a column of what was measured, one of n, one for each policy; heading and unit on top.

    `write` makes a cell of a row of the table. No column where no share is there by split.
    """
    rows = table[[is_by_split(str(metric)) for metric in table["metric"]]]
    if rows.empty:
        return []
    cells = rows.set_index(["policy", "metric"])
    metrics = list(dict.fromkeys(rows["metric"]))
    names = [BY_SPLIT.sub(r"\g<share>, \g<split>", metric) for metric in metrics]
    counts = [_observations([row for _, row in rows[rows["metric"] == metric].iterrows()]) for metric in metrics]
    by_policy = [
        [
            policy,
            "",
            *(write(cells.loc[(policy, name)]) if (policy, name) in cells.index else NOTHING for name in metrics),
        ]
        for policy in dict.fromkeys(rows["policy"])
    ]
    return [["share, held-out prompts", "", *names], ["", "", *counts], *by_policy]


def is_by_split(metric: str) -> bool:
    """Tell whether a metric is a share at the prompts of one split."""
    return BY_SPLIT.fullmatch(metric) is not None and NEIGHBOURS.fullmatch(metric) is None


def neighbour_columns(table: pd.DataFrame) -> list[list[str]]:
    """Return columns of heading, unit and one cell for each two neighbours of a ranking, from the top down.

    No column where the table tells of no neighbours.
    """
    told: dict[tuple[str, str, str], dict[str, pd.Series]] = {}
    for _, row in table.iterrows():
        found = NEIGHBOURS.fullmatch(str(row["metric"]))
        if found:
            told.setdefault((found["criterion"], row["policy"], found["lower"]), {})[found["told"]] = row
    if not told:
        return []
    heads = ("neighbours in a ranking", "", "Elo ahead", "p", "prompts to add")
    rows = [
        (criterion, f"{upper} over {lower}", _elo(of[""]), f"{of['_p']['value']:.3f}", _to_add(of.get("_more_prompts")))
        for (criterion, upper, lower), of in told.items()
    ]
    units = ("", "", "[95 % interval]", "", "")
    return [[head, unit, *cells] for head, unit, *cells in zip(heads, units, *rows, strict=True)]


def _to_add(row: pd.Series | None) -> str:
    return "even" if row is None else f"{_whole(row['value'])}" if row["value"] else NOTHING


def _elo(row: pd.Series) -> str:
    # only the reference, which stands at 0 by definition, comes without an interval
    if pd.isna(row["low"]) or pd.isna(row["high"]):
        return f"{_whole(row['value'])} [reference]"
    return f"{_whole(row['value'])} [{_whole(row['low'])}, {_whole(row['high'])}]"


def _share(row: pd.Series) -> str:
    return NOTHING if pd.isna(row["value"]) else f"{_whole(100 * row['value'])} %"


def _share_within(row: pd.Series) -> str:
    if pd.isna(row["value"]) or pd.isna(row["low"]) or pd.isna(row["high"]):
        return _share(row)
    return f"{_share(row)} [{_whole(100 * row['low'])}, {_whole(100 * row['high'])}]"


def _whole(value: float) -> str:
    return f"{round(float(value)):d}"


def _observations(rows: Sequence[pd.Series | None]) -> str:
    counts = [int(row["n"]) for row in rows if row is not None and not pd.isna(row["n"])]
    if not counts:
        return ""
    low, high = min(counts), max(counts)
    return f"n = {low}" if low == high else f"n = {low}–{high}"


def _fold(text: str) -> str:
    return textwrap.fill(text, width=100)


def _align(columns: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in columns]
    rows = list(zip(*columns, strict=True))
    lines = [
        GAP.join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    rule = "─" * len(lines[0])
    head = [line for line in map(str.rstrip, lines[:2]) if line]  # a table without units has no line for them
    return "\n".join([*head, rule, *map(str.rstrip, lines[2:])])
