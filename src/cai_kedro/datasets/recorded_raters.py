"""What people once said, in place of people."""

import logging
import os
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

import pandas as pd
from kedro.io import DatasetError

from cai_kedro.core.conversation import as_messages
from cai_kedro.core.schemas import PAIR_COLUMNS, SCHEMAS, check_table
from cai_kedro.datasets.comparison_rows import ComparisonSource, comparisons_of
from cai_kedro.datasets.prompt_rows import answer_of, conversation_of, id_of, number_of, prompt_id_of
from cai_kedro.datasets.raw_rows import each_row, refuse, regular_rows
from cai_kedro.datasets.row_errors import Row
from cai_kedro.datasets.row_source import RowSource

logger = logging.getLogger(__name__)

MOST_HARMFUL = 4
_RATING = f"a number from 0 (harmless) to {MOST_HARMFUL}"

FilePath = str | os.PathLike[str]


class RecordedRaters:
    """Comparisons from files or from data sets of the hub, in any of these forms, see `comparison_rows`.

    - `chosen`, `rejected`: two answers to the conversation of the row (`messages`, `prompt`, `instruction` or `text`),
      or two whole conversations; each a text or a list of turns. `score_chosen` and `score_rejected` may stand beside.
    - `response_a`, `response_b`, `preferred`: a or b, 0 or 1, or tie.
    - `completions`: a list of `response` and `rating`; every two with different ratings are a comparison.

    They are about answers of other assistants, so their pairs are used as recorded and nothing is sampled for them.
    `quarantine` (`file, line, reason`) holds the rows that no preference model can learn from. `ratings` holds rated
    conversations, if there are any: a conversation, `response`, `rating` from 0 to 4 (most harmful).
    """

    def __init__(
        self,
        filepath: FilePath | None = None,
        ratings: FilePath | Mapping[str, Any] | None = None,
        *,
        files: Sequence[Mapping[str, Any]] = (),
        **settings: Any,
    ) -> None:
        """Reads the files; raises `DatasetError` that names file, row and fault.

        Args:
            filepath: the file of comparisons, or
            ratings: the file of rated conversations, or the settings of a `RowSource`.
            files: several of them, each with the settings of a `ComparisonSource`.
            settings: those of the one file, or of the data set of the hub in its place.
        """
        alone = [{**settings, "filepath": filepath}] if filepath is not None or settings else []
        if bool(alone) == bool(files):
            raise DatasetError("recorded comparisons need either one `filepath` (or `hub`) or a list of `files`")
        self.sources = [ComparisonSource.of(**each) for each in [*alone, *files]]
        self.path = ", ".join(source.title for source in self.sources)
        read = [_comparisons(source) for source in self.sources]
        self.ratings = _ratings(ratings) if ratings else pd.DataFrame(columns=list(SCHEMAS["ratings"].columns))
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
        recorded = self._on(prompts)
        here = recorded["prompt_id"].notna()
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
                self.comparisons.loc[~here, "prompt_id"].iloc[0],
                here.sum(),
            )
        return check_table("pairs", recorded.loc[here, PAIR_COLUMNS])

    def compared(self, objective: str, prompts: pd.DataFrame) -> tuple[int, int]:
        """Return how many conversations people compared by an objective, and how many of them are among `prompts`."""
        here = self._on(prompts)
        wanted = here["objective"] == objective
        return self.comparisons["prompt_id"][wanted].nunique(), here["prompt_id"][wanted].nunique()

    def _on(self, prompts: pd.DataFrame) -> pd.DataFrame:
        """Return the recorded `comparisons` with the ids of these prompts, None for those that are on none of them.

        A comparison is on a prompt of its id, else on one with the same conversation: most files know no ids of ours.
        """
        recorded, ids = self.comparisons, set(prompts["prompt_id"])
        said = map(prompt_id_of, map(as_messages, prompts["messages"]))
        by_text = dict(zip(said, prompts["prompt_id"], strict=True))
        found = [
            name if name in ids else by_text.get(prompt_id_of(as_messages(cell)))
            for name, cell in zip(recorded["prompt_id"], recorded["messages"], strict=True)
        ]
        return recorded.assign(prompt_id=pd.Series(found, index=recorded.index, dtype=object))

    def compare(self, pairs: pd.DataFrame, objective: str, seed: int) -> pd.DataFrame:
        """Return the recorded `comparisons` under the objective of these recorded pairs.

        Raises `ValueError` if there is none. The seed decides nothing: nothing is drawn.
        """
        recorded = self.comparisons
        asked = dict(zip(pairs["pair_id"], pairs["prompt_id"], strict=True))
        wanted = recorded[recorded["pair_id"].isin(asked) & (recorded["objective"] == objective)]
        if wanted.empty:
            raise ValueError(
                f"{self.path} has no comparison under {objective} of the {len(pairs)} pairs on these prompts; record "
                f"some, or give the prompts file the conversations of the comparisons"
            )
        logger.info("%d recorded comparisons under %s are used as they are", len(wanted), objective)
        return wanted.assign(prompt_id=wanted["pair_id"].map(asked)).reset_index(drop=True)

    def rate(self, answers: pd.DataFrame, seed: int) -> pd.DataFrame:
        """Return the recorded `ratings`, whatever answers were asked about; none without a file of ratings."""
        return self.ratings


def _comparisons(source: ComparisonSource) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read one source → `comparisons`, doubles and all, and its quarantine (`file, line, reason`)."""
    rows, irregular = regular_rows(
        source.of_rows(),
        partial(comparisons_of, source=source),
        "chosen|response_a|completions",
        "rejected|response_b|completions",
    )
    if not rows:
        raise DatasetError(
            f"{source.title} holds no comparison; expected one per {source.place}, with 'chosen' and 'rejected'"
        )
    _refuse_two_conversations(source, {at: pairs[0] for at, pairs in rows.items()})
    table = pd.DataFrame(list(chain.from_iterable(rows.values())), columns=list(SCHEMAS["comparisons"].columns))
    lines = {"line": list(irregular), "reason": list(irregular.values())}
    return table, pd.DataFrame({"file": source.title, **lines})


def _refuse_two_conversations(source: RowSource, rows: Mapping[int, Mapping[str, Any]]) -> None:
    """Raise `DatasetError` where one prompt_id stands for two conversations."""
    first: dict[str, int] = {}
    faults = [
        f"{source.place}s {before} and {at} have the prompt_id {row['prompt_id']!r} but not the same conversation; "
        f"give each conversation an id of its own"
        for at, row in rows.items()
        if rows[before := first.setdefault(row["prompt_id"], at)]["messages"] != row["messages"]
    ]
    refuse(source, faults)


def _ratings(given: FilePath | Mapping[str, Any]) -> pd.DataFrame:
    source = RowSource.of(**given) if isinstance(given, Mapping) else RowSource.of(filepath=given)
    rows = each_row(source, _rating, "response", "rating")
    if not rows:
        raise DatasetError(f"{source.title} holds no rated conversation; give some, or name no ratings file")
    _refuse_two_conversations(source, rows)
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
