"""What the chains of a study say together: one table, and the claims."""

from collections.abc import Sequence
from fnmatch import fnmatch

import pandas as pd

from cai_kedro.metrics.between_runs import MIN_RUNS
from cai_kedro.metrics.claims import FEW_SEEDS, NOT_MEASURED
from cai_kedro.reporting.verdicts import NOTHING, digits_of, interval_of, maybe, places, seeds_of, spread_of
from cai_kedro.reporting.wording import number

#: Of every seed: what `figures.csv` of a chain holds, and whose it is.
CELL_COLUMNS = ("setting", "seed", "policy", "measure", "metric", "value", "low", "high", "n")
TABLE_COLUMNS = (
    *("setting", "policy", "measure", "metric", "mean", "sd", "lowest", "highest", "low", "high", "n", "seeds"),
    *("values", "note"),
)


def table_of(cells: pd.DataFrame) -> pd.DataFrame:
    """Return one row a setting and metric from the figures of every seed (`CELL_COLUMNS` → `TABLE_COLUMNS`).

    `mean`, `sd`, `lowest` and `highest` are over seeds. `low` and `high` are the means of the ends of the seeds' 95 %
    intervals over prompts: the prompts are the same for all seeds, so more seeds do not narrow them. `n` is the least.
    """
    groups = cells.groupby(["setting", "policy", "measure", "metric"], sort=False, dropna=False)
    rows = []
    for key, group in groups:
        values = group["value"]
        rows.append(
            (
                *key,
                values.mean(),
                values.std(ddof=1),
                values.min(),
                values.max(),
                *(group[end].mean(skipna=False) for end in ("low", "high")),
                int(group["n"].min()),
                group["seed"].nunique(),
                "; ".join(f"{seed}: {value:.6g}" for seed, value in zip(group["seed"], values, strict=True)),
                FEW_SEEDS if group["seed"].nunique() < MIN_RUNS else "",
            )
        )
    return pd.DataFrame(rows, columns=list(TABLE_COLUMNS))


def table_lines(table: pd.DataFrame, show: Sequence[str]) -> list[str]:
    """Write the rows whose metric fits one of the patterns as Markdown."""
    shown = table[[any(fnmatch(metric, pattern) for pattern in show) for metric in table["metric"]]]
    heads = ["setting", "policy", "measure", "mean", "each seed", "sd over seeds", "prompts' interval", "n", "seeds"]
    lines = _head(heads)
    for row in shown.to_dict("records"):
        digits = digits_of(row["metric"])
        values = seeds_of(row["values"], digits)
        interval = interval_of(row["low"], row["high"], digits)
        cells = [row["setting"], row["policy"] or NOTHING, row["measure"], number(row["mean"], digits), values]
        cells += [maybe(row["sd"], digits), interval, str(row["n"]), str(row["seeds"])]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def claim_lines(verdicts: pd.DataFrame) -> list[str]:
    """Write what is said of every claim that was measured as Markdown; below it those that were not."""
    measured = verdicts[verdicts["verdict"] != NOT_MEASURED]
    heads = ["claim", "verdict", "paper", "in setting", "expected", "mean [95 %]", "each seed", "sd; ± over prompts"]
    lines = (
        _head([*heads, "n", "seeds", "would be found", "chance, ceiling, figure"])
        if len(measured)
        else ["No claim was measured."]
    )
    for row in measured.to_dict("records"):
        digits = digits_of(row["quantity"])
        values = seeds_of(row["values"], digits)
        said = f"**{row['verdict']}**" + (f" ({row['note']})" if row["note"] else "")
        cells = [row["claim"], said, row["paper"], row["setting"], row["expected"]]
        cells += [
            f"{number(row['mean'], digits)} {interval_of(row['low'], row['high'], digits)}",
            values,
            spread_of(row, digits),
        ]
        cells += [f"{row['n']:.0f}", f"{row['seeds']:.0f}", maybe(row["detectable"], digits), places(row)]
        lines.append(f"| {' | '.join(cells)} |")
    others = verdicts[verdicts["verdict"] == NOT_MEASURED]["claim"]
    return [*lines, *(["", f"Not measured in this study: {'; '.join(others)}."] if len(others) else [])]


def in_words(seconds: float) -> str:
    """Write a time: `48 s`, `4 min 32 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"  # noqa: PLR2004


def _head(names: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}"]
