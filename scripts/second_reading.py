"""A second reading of free English: blind sheets for a reader, and how far the filled-in sheets agree with the labels.

`python scripts/second_reading.py sheets DIR` writes `requests.csv` and `pairs.csv` with empty columns to fill in, in an
order that tells nothing. `python scripts/second_reading.py agree DIR` reads them.
"""

import hashlib
import sys
from pathlib import Path

import pandas as pd

from cai_kedro.core.conversation import as_messages
from cai_kedro.core.csv_text import as_csv, from_csv_cells
from cai_kedro.free_english.reader import free_pairs, free_requests
from cai_kedro.metrics.agreement import agreement, krippendorff_alpha
from cai_kedro.metrics.estimate import Estimate

#: Sheet → its key, and the columns that the reader fills in.
TO_FILL_IN = {"requests": ("prompt_id", ["harmful", "severity"]), "pairs": ("pair_id", ["more"])}


def write_sheets(folder: Path) -> None:
    """Write the two sheets: `harmful` is for yes or no, `severity` for 0 to 3, `more` for first or second."""
    requests = free_requests()
    conversations = {row.prompt_id: _shown(row.messages) for row in requests.itertuples()}
    sheets = {
        "requests": requests[["prompt_id"]].assign(conversation=requests["prompt_id"].map(conversations)),
        "pairs": free_pairs()[["pair_id", "prompt_id", "first", "second", "question_more"]].rename(
            columns={"question_more": "question"}
        ),
    }
    sheets["pairs"].insert(2, "conversation", sheets["pairs"]["prompt_id"].map(conversations))
    folder.mkdir(parents=True, exist_ok=True)
    for name, sheet in sheets.items():
        key, columns = TO_FILL_IN[name]
        # an id would tell the label: a number stands for it
        blind = _in_blind_order(sheet, key).drop(columns=["prompt_id", "pair_id"], errors="ignore")
        blind.insert(0, "number", range(1, len(blind) + 1))
        (folder / f"{name}.csv").write_text(as_csv(blind.assign(**dict.fromkeys(columns, ""))), encoding="utf-8")


def agreements(folder: Path) -> dict[str, tuple[Estimate, Estimate]]:
    """Return share and Krippendorff's alpha of each column that was filled in; rows left empty do not count.

    Raises `ValueError` for a sheet that is not all there, and for what is none of a column's labels.
    """
    found = {}
    for name, (key, columns) in TO_FILL_IN.items():
        ours = _in_blind_order(free_requests() if name == "requests" else free_pairs(), key)
        sheet = from_csv_cells(pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False))
        if list(sheet["number"]) != [str(number) for number in range(1, len(ours) + 1)]:
            raise ValueError(f"{folder / name}.csv: expected the rows 1 to {len(ours)} in order, as they were written")
        for column in columns:
            own = ours[column].map({True: "yes", False: "no"} if column == "harmful" else str)
            given = sheet[column].str.strip().str.lower()
            filled = given != ""
            if unknown := sorted({*given[filled]} - {*own}):
                raise ValueError(f"{name}.csv, {column}: {unknown} is no label; expected {sorted({*own})}")
            if filled.any():
                both = list(zip(own[filled], given[filled], strict=True))
                found[f"{name}.{column}"] = (agreement(both), krippendorff_alpha(both))
    return found


def _in_blind_order(table: pd.DataFrame, key: str) -> pd.DataFrame:
    digests = table[key].map(lambda text: hashlib.sha256(text.encode()).hexdigest())
    return table.loc[digests.sort_values().index].reset_index(drop=True)


def _shown(messages: object) -> str:
    return "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in as_messages(messages))


def main(what: str, folder: Path) -> None:
    """Write the sheets, or print how far they agree."""
    if what == "sheets":
        write_sheets(folder)
        return
    for name, figures in agreements(folder).items():
        share, alpha = (f"{each['value']:.2f} ({each['low']:.2f} to {each['high']:.2f})" for each in figures)
        print(f"{name}: {share} alike, alpha {alpha}, n = {figures[0]['n']}")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("sheets", "agree"):  # noqa: PLR2004 - what, and where
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]))
