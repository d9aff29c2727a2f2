"""The ablations of several runs side by side, one column a run: the table of docs/experiments.md.

    python benchmarks/ablation_table.py FILE... [--without METRIC...]

The files are `data/08_reporting/ablations.metrics.csv/<version>/ablations.metrics.csv` of each run, in the order of the
columns. Brackets are 95 % intervals within a run.
"""

import argparse
from pathlib import Path

import pandas as pd

_KEY = ["ablation", "variant", "metric"]


def cell(row: pd.Series) -> str:
    """Write a value with its interval and sample size; Elo without decimals, 0 where it is the reference."""
    elo = row["metric"].startswith("elo")
    digits = 0 if elo else 2
    if elo and pd.isna(row["low"]):
        return f"0 (n {row['n']:.0f})"
    # adding 0.0 turns a minus zero into zero
    value, low, high = (f"{round(row[name], digits) + 0.0:.{digits}f}" for name in ("value", "low", "high"))
    interval = "" if pd.isna(row["low"]) else f" [{low}, {high}]"
    return f"{value}{interval} (n {row['n']:.0f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--without", nargs="*", default=[], help="metrics that are not shown")
    given = parser.parse_args()
    read = [pd.read_csv(file) for file in given.files]
    tables = [table[~table["metric"].isin(given.without)] for table in read]
    columns = [table.set_index(_KEY).assign(metric=table["metric"].to_numpy()).apply(cell, axis=1) for table in tables]
    side = pd.concat(columns, axis=1, sort=False)
    print(f"| ablation | variant | metric | {' | '.join(f'run {i}' for i in range(len(tables)))} |")
    print(f"|{' --- |' * (len(tables) + 3)}")
    for key, cells in side.iterrows():
        print(f"| {' | '.join([*key, *cells.fillna('–')])} |")


if __name__ == "__main__":
    main()
