"""Reads the user's own files for the tasks of this folder; lm-eval calls these with what `--metadata` holds.

Nothing is fetched: the files come from paths, and no text of a benchmark is part of this project. `bos` is the text of
the token that every prompt begins with, for a tokenizer that has one but does not write it: lm-eval adds none to those.
"""

import csv
import json
import re
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict


def truthfulqa_mc1(truthfulqa: str, bos: str = "", **_: Any) -> DatasetDict:
    """Return question, candidates (the best answer, then every incorrect one) and the label 0.

    `truthfulqa` is the path of TruthfulQA.csv. All incorrect answers are candidates, none is dropped.
    """
    path = Path(truthfulqa)
    rows = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        for column in ("Question", "Best Answer", "Incorrect Answers"):
            if column not in (reader.fieldnames or []):
                raise ValueError(
                    f"{path}, line 1: the column {column!r} is missing; the columns are {reader.fieldnames}"
                )
        for row in reader:
            best = row["Best Answer"].strip()
            wrong = [answer.strip() for answer in row["Incorrect Answers"].split(";") if answer.strip()]
            if not (row["Question"].strip() and best and wrong):
                raise ValueError(f"{path}, line {reader.line_num} misses a question, a best or an incorrect answer")
            # an incorrect answer that equals the best one would make the label ambiguous
            choices = [best, *dict.fromkeys(answer for answer in wrong if answer != best)]
            rows.append({"bos": bos, "question": row["Question"].strip(), "choices": choices, "label": 0})
    return _split(rows, path)


def hhh(hhh: str, bos: str = "", **_: Any) -> DatasetDict:
    """Return every comparison in both option orders: prompt, the letters, and the label.

    `hhh` is the path of comparisons in the paper's multiple-choice format. Each item stands twice, so the accuracy is
    the mean over both orders.
    """
    path = Path(hhh)
    options = re.compile(r"\n \(A\) \[\[\[(.*)\]\]\]\n \(B\) \[\[\[(.*)\]\]\]", re.DOTALL)
    rows = []
    for number, line in enumerate(path.read_bytes().decode("utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        row = json.loads(line)
        found = options.search(row["prompt"])
        if found is None:
            raise ValueError(f"{path}, line {number} has no options ' (A) [[[…]]]' and ' (B) [[[…]]]'")
        label = [" (A)", " (B)"].index(row["corrects"][0])
        start, end = row["prompt"][: found.start()], row["prompt"][found.end() :]
        for first, second, right in ((*found.groups(), label), (*reversed(found.groups()), 1 - label)):
            shown = f"\n (A) [[[{first}]]]\n (B) [[[{second}]]]"
            rows.append({"prompt": f"{bos}{start}{shown}{end}", "choices": ["(A)", "(B)"], "label": right})
    return _split(rows, path)


def _split(rows: list[dict[str, Any]], path: Path) -> DatasetDict:
    if not rows:
        raise ValueError(f"{path} holds nothing")
    return DatasetDict({"test": Dataset.from_list(rows)})
