"""What people once said, in place of people."""

import logging
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import DatasetError

from cai_kedro.core.schemas import OBJECTIVES, PAIR_COLUMNS, SCHEMAS, check_table
from cai_kedro.core.seeding import rng_for
from cai_kedro.datasets.paired_answers import paired_answers
from cai_kedro.datasets.prompt_rows import (
    answer_of,
    content_id,
    conversation_of,
    id_of,
    number_of,
    prompt_id_of,
    refuse_marker,
    text_of,
)
from cai_kedro.datasets.raw_rows import IrregularRowError, Row, RowError, each_row, refuse, regular_rows

logger = logging.getLogger(__name__)

MOST_HARMFUL = 4
_RATING = f"a number from 0 (harmless) to {MOST_HARMFUL}"

FilePath = str | os.PathLike[str]


class RecordedRaters:
    """Comparisons from files of JSON lines or CSV: `chosen`, `rejected`, `objective`, and `messages` or `prompt`.

    `chosen` and `rejected` may also be whole conversations, as in hh-rlhf. They are about answers of other assistants,
    so their pairs are used as recorded and nothing is sampled for them. `quarantine` (`file, line, reason`) holds the
    rows that no preference model can learn from. `ratings` is a file of rated conversations, if there is one:
    `messages` or `prompt`, `response`, `rating` from 0 to 4 (most harmful).
    """

    def __init__(self, filepath: FilePath | Mapping[str, FilePath], ratings: FilePath | None = None) -> None:
        """Reads the files; raises `DatasetError` that names file, line and fault.

        Args:
            filepath: the file of comparisons, or objective → file. In the latter a row needs no `objective`.
            ratings: the file of rated conversations.
        """
        files = dict(filepath) if isinstance(filepath, Mapping) else {None: filepath}
        self.path = ", ".join(os.fspath(path) for path in files.values())
        read = [_comparisons(Path(path), objective) for objective, path in files.items()]
        self.ratings = _ratings(Path(ratings)) if ratings else pd.DataFrame(columns=list(SCHEMAS["ratings"].columns))
        table = pd.concat([comparisons for comparisons, _ in read], ignore_index=True)
        once = table.drop_duplicates("pair_id")
        if len(once) < len(table):
            logger.warning("%s: %d comparisons stand there again and count once", self.path, len(table) - len(once))
        self.comparisons = check_table("comparisons", once)
        self.quarantine = pd.concat([quarantine for _, quarantine in read], ignore_index=True)

    def recorded_pairs(self, prompts: pd.DataFrame) -> pd.DataFrame:
        """Return the `pairs` that people compared on these `prompts`; says how many are on other prompts.

        Raises `ValueError` if there is none.
        """
        recorded = self.comparisons
        here = recorded["prompt_id"].isin(set(prompts["prompt_id"]))
        if not here.any():
            raise ValueError(
                f"{self.path} has no comparison on any of the {prompts['prompt_id'].nunique()} prompts of this table; "
                f"record some, or give the prompts file the conversations of the comparisons"
            )
        if not here.all():
            logger.warning(
                "%s: %d of %d recorded comparisons are on none of the %d prompts of this table, such as %r, and are "
                "not used in it; %d are",
                self.path,
                (~here).sum(),
                len(recorded),
                prompts["prompt_id"].nunique(),
                recorded.loc[~here, "prompt_id"].iloc[0],
                here.sum(),
            )
        return check_table("pairs", recorded.loc[here, PAIR_COLUMNS])

    def compare(self, pairs: pd.DataFrame, objective: str, seed: int) -> pd.DataFrame:
        """Return the recorded `comparisons` under the objective of these recorded pairs.

        Raises `ValueError` if there is none. The seed decides nothing: nothing is drawn.
        """
        recorded = self.comparisons
        of_pairs = recorded["pair_id"].isin(set(pairs["pair_id"]))
        wanted = recorded[of_pairs & (recorded["objective"] == objective)]
        if wanted.empty:
            raise ValueError(
                f"{self.path} has no comparison under {objective} of the {len(pairs)} pairs on these prompts; record "
                f"some, or give the prompts file the conversations of the comparisons"
            )
        logger.info("%d recorded comparisons under %s are used as they are", len(wanted), objective)
        return wanted.reset_index(drop=True)

    def rate(self, answers: pd.DataFrame, seed: int) -> pd.DataFrame:
        """Return the recorded `ratings`, whatever answers were asked about; none without a file of ratings."""
        return self.ratings


def _comparisons(path: Path, objective: str | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read one file → `comparisons`, a pair as often as it stands there; and its quarantine (`file, line, reason`)."""
    rows, irregular = regular_rows(path, partial(_comparison, objective=objective), "chosen", "rejected")
    if not rows:
        raise DatasetError(f"{path} holds no comparison; expected one per line, with 'chosen' and 'rejected'")
    _refuse_two_conversations(path, rows)
    table = pd.DataFrame(list(rows.values()), columns=list(SCHEMAS["comparisons"].columns))
    lines = {"line": list(irregular), "reason": list(irregular.values())}
    return table, pd.DataFrame({"file": str(path), **lines})


def _refuse_two_conversations(path: Path, rows: Mapping[int, Mapping[str, Any]]) -> None:
    """Raise `DatasetError` where one prompt_id stands for two conversations."""
    first: dict[str, int] = {}
    faults = [
        f"lines {before} and {line} have the prompt_id {row['prompt_id']!r} but not the same conversation; give each "
        f"conversation an id of its own"
        for line, row in rows.items()
        if rows[before := first.setdefault(row["prompt_id"], line)]["messages"] != row["messages"]
    ]
    refuse(path, faults)


def _ratings(path: Path) -> pd.DataFrame:
    rows = each_row(path, _rating, "response", "rating")
    if not rows:
        raise DatasetError(f"{path} holds no rated conversation; give some, or name no ratings file")
    _refuse_two_conversations(path, rows)
    return check_table("ratings", pd.DataFrame(list(rows.values()), columns=list(SCHEMAS["ratings"].columns)))


def _rating(row: Row) -> dict[str, Any]:
    messages = conversation_of(row)
    rating = number_of(row, "rating", 0, MOST_HARMFUL, _RATING)
    return {
        "prompt_id": id_of(row, "prompt_id", prompt_id_of(messages)),
        "messages": messages,
        "response": answer_of(row, "response"),
        "rating": rating,
    }


def _comparison(row: Row, objective: str | None) -> dict[str, Any]:
    objective = text_of(row, "objective", objective).strip()
    if objective not in OBJECTIVES:
        raise RowError(f"has the objective {objective!r}; expected {' or '.join(OBJECTIVES)}")
    messages, chosen, rejected = paired_answers(row)
    for column, answer in (("chosen", chosen), ("rejected", rejected)):
        if not answer:
            raise IrregularRowError(f"has an empty answer in {column!r}")
        refuse_marker(answer, f"the answer in {column!r}", IrregularRowError)
    prompt_id = id_of(row, "prompt_id", prompt_id_of(messages))
    pair_id = content_id(prompt_id, objective, chosen, rejected)
    a_is_chosen = rng_for(0, "recorded", pair_id).random() < 0.5  # noqa: PLR2004 - which side it stands on says nothing
    return {
        "pair_id": pair_id,
        "prompt_id": prompt_id,
        "messages": messages,
        "response_a": chosen if a_is_chosen else rejected,
        "response_b": rejected if a_is_chosen else chosen,
        "kind": "recorded",
        "objective": objective,
        "source": "human",
        "principle_id": None,
        "p_a_better": float(a_is_chosen),
        "p_a_first": None,
        "p_a_second": None,
        "thoughts": None,
    }
