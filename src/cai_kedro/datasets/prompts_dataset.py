"""Raw prompts as people give them."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import DatasetError, Version

from cai_kedro.core.conversation import Message
from cai_kedro.core.schemas import check_table
from cai_kedro.datasets.prompt_rows import conversation_of, id_of, prompt_id_of, text_of
from cai_kedro.datasets.raw_rows import Row, RowError, each_row, refuse
from cai_kedro.datasets.versioned import LocalVersionedDataset

_TRAIN = "train"


class PromptsDataset(LocalVersionedDataset[pd.DataFrame, pd.DataFrame]):
    """Conversations that wait for an answer, from `.jsonl` or `.csv`, as a `prompts` table of source `given`.

    A row has `messages`, or a `prompt` that is a plain text or in the Human/Assistant layout. `prompt_id` (a text or a
    whole number, else a hash of the conversation) and `split` (else `train`) may be given; `null` is not given. Other
    columns are left out. `where` chooses rows by any column, so that one file can hold what is trained on and what is
    held out: `where: {split: train}`.
    """

    def __init__(
        self,
        *,
        filepath: str | os.PathLike[str],
        where: Mapping[str, Any] | None = None,
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Raises `DatasetError` for a URL.

        Args:
            filepath: path of the file, without the version.
            where: column → the value, or a list of the values, that a row must have there; None for all rows.
            version: which version to load and to save; None if not versioned.
            metadata: for plugins such as kedro-viz.
        """
        super().__init__(filepath=filepath, version=version, metadata=metadata)
        self._where = {
            column: list(values) if isinstance(values, list | tuple) else [values]
            for column, values in (where or {}).items()
        }

    def load(self) -> pd.DataFrame:
        """Return the prompts; raises `DatasetError` that names file, line and fault."""
        path = Path(self._get_load_path())
        made = each_row(path, lambda row: (_prompt(row), self._is_chosen(row)), "prompt")
        if not made:
            raise DatasetError(f"{path} holds no prompts; expected one conversation per line")
        _refuse_duplicates(path, {line: prompt for line, (prompt, _) in made.items()})
        rows = [prompt for prompt, chosen in made.values() if chosen]
        if not rows:
            raise DatasetError(
                f"{path}: none of its {len(made)} prompts has {self._where}; correct `where` or the file"
            )
        columns = ["prompt_id", "messages", "source", "split"]
        return check_table("prompts", pd.DataFrame(rows, columns=columns))

    def save(self, data: pd.DataFrame) -> None:
        """Write a `prompts` table as JSON lines."""
        prompts = check_table("prompts", data)
        with self._writing() as path, path.open("w", encoding="utf-8", newline="\n") as file:
            for row in prompts[["prompt_id", "split", "messages"]].to_dict("records"):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def _is_chosen(self, row: Row) -> bool:
        """Say whether a row has what `where` asks for; raises `RowError` for a row without such a column."""
        for column, values in self._where.items():
            if column not in row:
                raise RowError(f"misses the column {column!r} that `where` asks for, it has {sorted(row)}")
            if not any(row[column] == value and type(row[column]) is type(value) for value in values):
                return False
        return True

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), **({"where": self._where} if self._where else {})}


def _prompt(row: Mapping[str, Any]) -> dict[str, str | list[Message]]:
    messages = conversation_of(row)
    return {
        "prompt_id": id_of(row, "prompt_id", prompt_id_of(messages)),
        "messages": messages,
        "source": "given",
        "split": text_of(row, "split", _TRAIN).strip(),
    }


def _refuse_duplicates(path: Path, rows: Mapping[int, Mapping[str, Any]]) -> None:
    first: dict[str, int] = {}
    faults = [
        f"lines {first[row['prompt_id']]} and {number} share the prompt_id {row['prompt_id']!r} "
        f"(an id that is not given follows from the text); drop one of them or give each an id"
        for number, row in rows.items()
        if first.setdefault(row["prompt_id"], number) != number
    ]
    refuse(path, faults)
