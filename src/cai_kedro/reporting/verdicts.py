"""What a study says of the paper's claims, as the report and the study's own page write it."""

import html
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from cai_kedro.reporting.wording import number

#: Where no study was given.
NO_STUDY = (
    "One training says nothing of another one. `kedro study headline` runs the method with several seeds and several "
    "constitutions and says for each claim of the paper whether it agrees; docs/guides/study.md says how to show that "
    "here."
)
NOTHING = "–"
_HEADS = (
    ("claim", "where in the paper"),
    ("verdict", ""),
    ("mean over seeds", "[95 %]"),
    ("each seed", "their sd; ± over prompts"),
    ("n, seeds", ""),
    ("would be found", "by 80 % of such studies"),
    ("chance, ceiling, figure", ""),
)


def verdict_section(verdicts: pd.DataFrame) -> str:
    """Write the headline claims of a study as HTML, or a line that says how to make a study where there is none."""
    rows = verdicts[verdicts["headline"].astype(bool)]
    if rows.empty:
        return f'<p class="note">{html.escape(NO_STUDY)}</p>'
    head = "".join(f'<th scope="col">{name}<br><small>{unit}</small></th>' for name, unit in _HEADS)
    body = "\n".join(_row(row) for row in rows.to_dict("records"))
    study, commit = (html.escape(str(rows[name].iloc[0])) for name in ("study", "commit"))
    return (
        f'<section id="claims">\n<h2>What the paper claims, over seeds</h2>\n<div class="wide">\n'
        f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>\n</div>\n"
        f'<p class="note">Of the study {study}, code {commit}; other trainings than the one below. The interval holds '
        f"the spread of the seeds and that of the prompts.</p>\n</section>"
    )


def _row(row: Mapping[str, Any]) -> str:
    digits = digits_of(str(row["quantity"]))
    claim, about, said, note = (html.escape(str(row[name])) for name in ("claim", "paper", "verdict", "note"))
    where = html.escape(str(row["setting"]))
    mean, interval = (maybe(row["mean"], digits), interval_of(row["low"], row["high"], digits))
    cells = (
        f"<b>{said}</b>" + (f"<small>{note}</small>" if note else ""),
        f"{mean}<small>{interval}</small>",
        f"{seeds_of(str(row['values']), digits)}<small>{spread_of(row, digits)}</small>",
        f"{maybe(row['n'], 0)}, {maybe(row['seeds'], 0)}",
        maybe(row["detectable"], digits),
        places(row),
    )
    return (
        f'<tr><th scope="row">{claim}<br><small>{about}; setting {where}; expected '
        f"{html.escape(str(row['expected']))}</small></th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    )


def seeds_of(values: str, digits: int) -> str:
    """Write `0: 434; 1: 518` as `434, 518`."""
    return ", ".join(number(float(part.split(": ")[1]), digits) for part in values.split("; ")) if values else NOTHING


def spread_of(row: Mapping[str, Any], digits: int) -> str:
    """Write the standard deviation over seeds and the half-width of the interval over prompts: `8; ± 28`."""
    return f"{maybe(row['sd'], digits)}; ± {maybe(row['half_width'], digits)}"


def places(row: Mapping[str, Any]) -> str:
    """Write chance, ceiling and the two figures of a quantity side by side, where a claim has them."""
    if pd.isna(row["chance"]) and pd.isna(row["ceiling"]):
        return NOTHING
    figures = " and ".join(number(row[name], 2) for name in ("first", "second") if not pd.isna(row[name]))
    return f"{maybe(row['chance'], 2)}, {maybe(row['ceiling'], 2)}, {figures}"


def digits_of(quantity: str) -> int:
    """Return how many decimals a quantity is written with: none for Elo."""
    return 0 if "elo" in quantity.replace(".", "_").split("_") else 2


def interval_of(low: float | None, high: float | None, digits: int) -> str:
    """Write `[−4, 18]`; a dash where there is no interval."""
    return f"[{maybe(low, digits)}, {maybe(high, digits)}]" if maybe(low, digits) != NOTHING else NOTHING


def maybe(value: float | None, digits: int) -> str:
    """Write a number, or a dash where there is none."""
    return NOTHING if value is None or math.isnan(value) else number(value, digits)
