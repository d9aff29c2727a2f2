"""Raw prompts as people give them."""

import json
import logging
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import pandas as pd
from kedro.io import DatasetError, Version

from cai_kedro.core.conversation import Message
from cai_kedro.core.held_out import is_held_out
from cai_kedro.core.schemas import check_table
from cai_kedro.datasets.paired_answers import paired_answers
from cai_kedro.datasets.prompt_rows import BESIDE, CONVERSATION, conversation_of, id_of, prompt_id_of, text_of
from cai_kedro.datasets.raw_rows import refuse, regular_rows
from cai_kedro.datasets.row_source import RowSource
from cai_kedro.datasets.versioned import LocalVersionedDataset

logger = logging.getLogger(__name__)

_TRAIN = "train"
_COLUMNS = ["prompt_id", "messages", "source", "split"]


class PromptSource(RowSource):
    """Where prompts come from."""

    READ: ClassVar[tuple[str, ...]] = (*CONVERSATION, *BESIDE, "prompt_id", "split", "chosen", "rejected")


class PromptsDataset(LocalVersionedDataset[pd.DataFrame, pd.DataFrame]):
    """Conversations that wait for an answer, from a file or a hub data set, as a `prompts` table of source `given`.

    A row has `messages` (a list of turns) or `prompt` (a list, a plain text, or a text in the Human/Assistant layout),
    else `instruction` and perhaps `input`, else `text`; or comparisons, `chosen` and `rejected`, of which the
    conversation is taken. A `system` turn is kept. `prompt_id` (a text or a whole number, else a hash of the
    conversation) and `split` (else `train`) may be given; `null` is not given. Other columns are left out.

    `where` chooses rows by any column, so that one file can hold what is trained on and what is held out: `where:
    {split: train}`. `held_out_share` and `part` split a file without such a column.
    """

    def __init__(  # noqa: PLR0913 - the settings of an entry
        self,
        *,
        filepath: str | os.PathLike[str] | None = None,
        hub: Mapping[str, Any] | None = None,
        columns: Mapping[str, str | None] | None = None,
        faulty_rows: Literal["refuse", "leave_out"] | None = None,
        where: Mapping[str, Any] | None = None,
        drop_last_answer: bool = False,
        held_out_share: float | None = None,
        part: Literal["train", "held_out"] | None = None,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Raises `DatasetError` for settings that do not fit together.

        Args:
            filepath: the file, or
            hub: the data set of the hub, see `HubData`.
            columns: our name of a column → the source's, see `RowSource`.
            faulty_rows: `refuse` or `leave_out`, see `RowSource`.
            where: column → the value, or a list of the values, that a row must have there; None for all rows.
            drop_last_answer: whether assistant's turns at the end are dropped, as in data sets of whole conversations.
            held_out_share: which share of the conversations is held out, see `core.held_out`, and
            part: whether these are taken, or the others.
            version: which version to load and to save; None if not versioned.
            metadata: for plugins such as kedro-viz.
        """
        self._source = PromptSource.of(
            filepath=filepath, hub=hub, columns=columns, faulty_rows=faulty_rows, where=where
        )
        if (held_out_share is None) != (part is None) or not 0 < (held_out_share or 0.5) < 1:
            raise DatasetError(
                f"{self._source.title}: `held_out_share`, between 0 and 1, and `part`, train or held_out, go together, "
                f"got {held_out_share!r} and {part!r}"
            )
        if part not in (None, "train", "held_out"):
            raise DatasetError(f"{self._source.title}: `part` is train or held_out, got {part!r}")
        self._share, self._part, self._drop_last_answer = held_out_share, part, drop_last_answer
        super().__init__(filepath=filepath or self._source.title, version=version, metadata=metadata)

    def load(self) -> pd.DataFrame:
        """Return the prompts; raises `DatasetError` that names source, row and fault."""
        source = self._source
        if source.filepath is not None:
            source = source.model_copy(update={"filepath": Path(self._get_load_path())})
        rows, _ = regular_rows(
            source,
            partial(_prompt, drop_last_answer=self._drop_last_answer),
            "|".join(("prompt", *CONVERSATION[:1], *CONVERSATION[2:], "chosen")),
        )
        if not rows:
            raise DatasetError(f"{source.title} holds no prompts; expected one conversation per {source.place}")
        return check_table("prompts", pd.DataFrame(self._taken(_once(source, rows)), columns=_COLUMNS))

    def save(self, data: pd.DataFrame) -> None:
        """Write a `prompts` table as JSON lines."""
        if self._source.filepath is None or self._part is not None:
            raise DatasetError(
                f"{self._source.title} is given by people, or a part of what they give; not saved by a run"
            )
        prompts = check_table("prompts", data)
        with self._writing() as path, path.open("w", encoding="utf-8", newline="\n") as file:
            for row in prompts[["prompt_id", "split", "messages"]].to_dict("records"):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def _taken(self, rows: Mapping[int, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        if self._share is None:
            return list(rows.values())
        wanted = self._part == "held_out"
        taken = [row for row in rows.values() if is_held_out(row["messages"], self._share) == wanted]
        if not taken:
            raise DatasetError(
                f"{self._source.title}: none of {len(rows)} prompts is in the part {self._part!r} of a held-out "
                f"share of {self._share:g}; give more prompts or another share"
            )
        logger.info("%s: %d of %d prompts are the part %s", self._source.title, len(taken), len(rows), self._part)
        return taken

    def _exists(self) -> bool:
        return self._source.filepath is None or super()._exists()

    def _describe(self) -> dict[str, Any]:
        described = self._source.model_dump(exclude_none=True, exclude_defaults=True, exclude={"filepath"})
        return {**super()._describe(), **described, **({"part": self._part} if self._part else {})}


def _prompt(row: Mapping[str, Any], *, drop_last_answer: bool) -> dict[str, str | list[Message]]:
    compared = "chosen" in row and not set(CONVERSATION) & set(row)
    messages = paired_answers(row).messages if compared else conversation_of(row, drop_last_answer=drop_last_answer)
    return {
        "prompt_id": id_of(row, "prompt_id", prompt_id_of(messages)),
        "messages": messages,
        "source": "given",
        "split": text_of(row, "split", _TRAIN).strip(),
    }


def _once(source: RowSource, rows: Mapping[int, Mapping[str, Any]]) -> dict[int, Mapping[str, Any]]:
    """Refuse rows that share an id; where faulty rows are left out, the first of equal conversations is kept."""
    first: dict[str, int] = {}
    again = {at: first[row["prompt_id"]] for at, row in rows.items() if first.setdefault(row["prompt_id"], at) != at}
    equal = {at for at, before in again.items() if rows[at]["messages"] == rows[before]["messages"]}
    refuse(
        source,
        [
            f"{source.place}s {before} and {at} share the prompt_id {rows[at]['prompt_id']!r} (an id that is not given "
            f"follows from the text); drop one of them or give each an id"
            for at, before in again.items()
            if not (source.leaves_out and at in equal)
        ],
    )
    if again:
        logger.warning("%s: %d prompts stand there again and count once", source.title, len(again))
    return {at: row for at, row in rows.items() if at not in again}
