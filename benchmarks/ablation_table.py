"""The ablations of several runs side by side, one column a run: the table of docs/experiments.md.

    python benchmarks/ablation_table.py FILE...

The files are `data/08_reporting/ablations.metrics.csv/<version>/ablations.metrics.csv` of each run, in the order of the
columns. Brackets are 95 % intervals within a run.
"""

import argparse
from pathlib import Path

import pandas as pd

_KEY = ["ablation", "variant", "metric"]


def cell(row: pd.Series) -> str:
    """Write a value with its interval and sample size; Elo without decimals."""
    digits = 0 if row["metric"].startswith("elo") else 2
    shown = f"{row['value']:.{digits}f}"
    if not pd.isna(row["low"]):
        shown += f" [{row['low']:.{digits}f}, {row['high']:.{digits}f}]"
    return f"{shown} (n {row['n']:.0f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    tables = [pd.read_csv(file) for file in parser.parse_args().files]
    columns = [table.set_index(_KEY).assign(metric=table["metric"].to_numpy()).apply(cell, axis=1) for table in tables]
    side = pd.concat(columns, axis=1, sort=False)
    print(f"| ablation | variant | metric | {' | '.join(f'run {i}' for i in range(len(tables)))} |")
    print(f"|{' --- |' * (len(tables) + 3)}")
    for key, cells in side.iterrows():
        print(f"| {' | '.join([*key, *cells.fillna('–')])} |")


if __name__ == "__main__":
    main()
