"""What people once said, in place of people."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import DatasetError

from cai_kedro.core.schemas import OBJECTIVES, SCHEMAS, check_table
from cai_kedro.core.seeding import rng_for
from cai_kedro.datasets.prompt_rows import (
    RowError,
    content_id,
    conversation_of,
    each,
    json_row,
    prompt_id_of,
    read_lines,
    text_of,
)

MOST_HARMFUL = 4


class RecordedRaters:
    """Comparisons from a file of JSON lines: `messages` or `prompt`, `chosen`, `rejected`, `objective`.

    They are about answers of other assistants: of the pairs asked about, only the prompts matter. `ratings` is a file
    of rated conversations, if there is one: `messages` or `prompt`, `response`, `rating` from 0 to 4 (most harmful).
    """

    def __init__(self, filepath: str | os.PathLike[str], ratings: str | os.PathLike[str] | None = None) -> None:
        """Reads the files; raises `DatasetError` that names file, line and fault."""
        self.path = Path(filepath)
        self.ratings = _ratings(Path(ratings)) if ratings else pd.DataFrame(columns=list(SCHEMAS["ratings"].columns))
        rows = each(self.path, read_lines(self.path), lambda line: _comparison(json_row(line)))
        table = pd.DataFrame(list(rows.values()), columns=list(SCHEMAS["comparisons"].columns))
        self.comparisons = check_table("comparisons", table.drop_duplicates("pair_id"))

    def compare(self, pairs: pd.DataFrame, objective: str, seed: int) -> pd.DataFrame:
        """Return the recorded `comparisons` under the objective on the prompts of the pairs.

        Raises `ValueError` if there is none. The seed decides nothing: nothing is drawn.
        """
        recorded = self.comparisons
        found = recorded[(recorded["objective"] == objective) & recorded["prompt_id"].isin(set(pairs["prompt_id"]))]
        if found.empty:
            raise ValueError(
                f"{self.path} has no comparison under {objective} on any of the {pairs['prompt_id'].nunique()} prompts "
                f"that were asked about; record some, or give the prompts file the conversations of the comparisons"
            )
        return found.reset_index(drop=True)

    def rate(self, answers: pd.DataFrame, seed: int) -> pd.DataFrame:
        """Return the recorded `ratings`, whatever answers were asked about; none without a file of ratings."""
        return self.ratings


def _ratings(path: Path) -> pd.DataFrame:
    rows = each(path, read_lines(path), lambda line: _rating(json_row(line)))
    if not rows:
        raise DatasetError(f"{path} holds no rated conversation; give some, or name no ratings file")
    return check_table("ratings", pd.DataFrame(list(rows.values()), columns=list(SCHEMAS["ratings"].columns)))


def _rating(row: Mapping[str, Any]) -> dict[str, Any]:
    messages = conversation_of(row)
    rating = row.get("rating")
    if isinstance(rating, bool) or not isinstance(rating, int | float) or not 0 <= rating <= MOST_HARMFUL:
        raise RowError(f"has the rating {rating!r}; expected a number from 0 (harmless) to {MOST_HARMFUL}")
    return {
        "prompt_id": text_of(row, "prompt_id", prompt_id_of(messages)),
        "messages": messages,
        "response": text_of(row, "response").strip(),
        "rating": float(rating),
    }


def _comparison(row: Mapping[str, Any]) -> dict[str, Any]:
    messages = conversation_of(row)
    chosen, rejected = text_of(row, "chosen").strip(), text_of(row, "rejected").strip()
    if chosen == rejected:
        raise RowError("has the same answer as chosen and as rejected; drop the line")
    objective = text_of(row, "objective")
    if objective not in OBJECTIVES:
        raise RowError(f"has the objective {objective!r}; expected {' or '.join(OBJECTIVES)}")
    prompt_id = text_of(row, "prompt_id", prompt_id_of(messages))
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
