"""Raw prompts as people give them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.io import DatasetError

from cai_kedro.core.conversation import Message
from cai_kedro.core.schemas import check_table
from cai_kedro.datasets.prompt_rows import conversation_of, id_of, prompt_id_of, text_of
from cai_kedro.datasets.raw_rows import each_row, refuse
from cai_kedro.datasets.versioned import LocalVersionedDataset

_TRAIN = "train"


class PromptsDataset(LocalVersionedDataset[pd.DataFrame, pd.DataFrame]):
    """Conversations that wait for an answer, from `.jsonl` or `.csv`, as a `prompts` table of source `given`.

    A row has `messages`, or a `prompt` that is a plain text or in the Human/Assistant layout. `prompt_id` (a text or a
    whole number, else a hash of the conversation) and `split` (else `train`) may be given; `null` is not given. Other
    columns are left out.
    """

    def load(self) -> pd.DataFrame:
        """Return the prompts; raises `DatasetError` that names file, line and fault."""
        path = Path(self._get_load_path())
        rows = each_row(path, _prompt, "prompt")
        if not rows:
            raise DatasetError(f"{path} holds no prompts; expected one conversation per line")
        _refuse_duplicates(path, rows)
        columns = ["prompt_id", "messages", "source", "split"]
        return check_table("prompts", pd.DataFrame(list(rows.values()), columns=columns))

    def save(self, data: pd.DataFrame) -> None:
        """Write a `prompts` table as JSON lines."""
        prompts = check_table("prompts", data)
        with self._writing() as path, path.open("w", encoding="utf-8", newline="\n") as file:
            for row in prompts[["prompt_id", "split", "messages"]].to_dict("records"):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


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
