"""What lm-eval wrote of the policies on the tasks of `lm_eval_tasks`: which items each of them got right."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
from kedro.io import AbstractDataset, DatasetError

COLUMNS = ("policy", "task", "item", "question", "right")

#: The files of lm-eval: the task, and when it was run.
_SAMPLES = re.compile(r"samples_(?P<task>cai_\w+?)_(?P<time>\d{4}-\d\d-\d\dT[\d.-]+)\.jsonl")
_GUIDE = "docs/guides/judging.md"


class LmEvalDataset(AbstractDataset[NoReturn, pd.DataFrame]):
    """A folder with a folder for each policy, as `lm_eval run --log_samples --output_path <folder>/<policy>` writes it.

    Read only. Columns: `policy`, `task`, `item` (both orders of a comparison are one), `question` (a hash of what was
    asked), `right` (0 or 1). Where a policy was asked a task several times, the last time counts. Without a
    folder the table is empty.
    """

    def __init__(self, *, filepath: str | os.PathLike[str] | None, metadata: dict[str, Any] | None = None) -> None:
        """Nothing is read yet.

        Args:
            filepath: the folder; null where lm-eval was not run.
            metadata: for plugins such as kedro-viz.
        """
        self._filepath = None if filepath is None else Path(filepath)
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """Return one row per item; raises `DatasetError` that names file, line and fault."""
        if self._filepath is None:
            return pd.DataFrame(columns=list(COLUMNS))
        rows = [row for file in _newest(self._filepath) for row in _rows_of(*file)]
        if not rows:
            raise DatasetError(
                f"{self._filepath} holds nothing of lm-eval; expected <policy>/<model>/samples_cai_….jsonl, as lm_eval "
                f"run writes it with --log_samples and --output_path {self._filepath}/<policy> ({_GUIDE}), or null in "
                f"the catalog for none"
            )
        return pd.DataFrame(rows, columns=list(COLUMNS))

    def save(self, data: NoReturn) -> NoReturn:
        """Refuse: lm-eval writes it, not a run."""
        raise DatasetError(f"{self._filepath} is written by lm-eval, not by a run")

    def _exists(self) -> bool:
        return self._filepath is None or self._filepath.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath}


def _newest(folder: Path) -> list[tuple[str, str, Path]]:
    """Return policy, task and path of the last file of each policy and task, policies in order."""
    found = (
        (match["time"], path.relative_to(folder).parts[0], match["task"], path)
        for path in folder.glob("*/**/samples_*.jsonl")
        if (match := _SAMPLES.fullmatch(path.name))
    )
    last = {(policy, task): path for _, policy, task, path in sorted(found)}
    return [(policy, task, path) for (policy, task), path in sorted(last.items())]


def _rows_of(policy: str, task: str, path: Path) -> Iterator[tuple[Any, ...]]:
    # JSON Lines end at a line feed: other line ends may stand in a text
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            sample = json.loads(line)
            question, right = sample["doc_hash"], float(sample["acc"])
            item = sample["doc"]["item"] if task == "cai_hhh" else sample["doc_id"]
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(
                f"{path}, line {number}: cannot be read as an item of {task} ({type(error).__name__}: {error}); run "
                f"lm-eval again with the tasks of lm_eval_tasks, or take the file away ({_GUIDE})"
            ) from error
        yield policy, task.removeprefix("cai_"), int(item), str(question), right
