"""Real comparisons of answers of which some are known to be better, as people publish them."""

import logging
import re
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
from kedro.io import DatasetError

from cai_kedro.core.conversation import Message, parse, render
from cai_kedro.core.layouts.hh import CHOICES, CONSIDER
from cai_kedro.core.seeding import rng_for
from cai_kedro.datasets.paired_answers import paired_answers
from cai_kedro.datasets.prompt_rows import content_id, text_of
from cai_kedro.datasets.raw_rows import regular_rows
from cai_kedro.datasets.row_errors import IrregularRowError, Row, RowError
from cai_kedro.datasets.row_source import RowSource
from cai_kedro.datasets.versioned import LocalVersionedDataset

logger = logging.getLogger(__name__)

COLUMNS = [
    *("item_id", "line"),
    *("messages", "better", "worse", "letter", "question"),
    *("prompt", "corrects", "incorrects"),
]

#: The paper's multiple-choice prompt: a conversation, a question, and two options in brackets.
_PROMPT = re.compile(
    re.escape(CONSIDER) + r"(?P<dialogue>.*?)\n\n+(?P<question>[^\n]+) Options:"
    r"\n \(A\) \[\[\[(?P<a>.*)\]\]\]\n \(B\) \[\[\[(?P<b>.*)\]\]\]\n\nThe answer is:\s*",
    re.DOTALL,
)
_THIRD_OPTION = re.compile(r"\]\]\]\n \(\w\) \[\[\[")


class ComparisonItemsDataset(LocalVersionedDataset[NoReturn, pd.DataFrame]):
    """Comparisons from JSON lines (or, for `chosen, rejected`, CSV), plain or gzip, or Parquet. Read only.

    - Multiple choice: `prompt`, in any layout, and the texts that may follow it, `corrects` and `incorrects`, as many
      as there are; other keys are left out. Two options in the paper's layout are taken apart, so that they can be
      asked in both orders. Any other prompt is kept as it stands.
    - `chosen, rejected`: two answers to `messages` or `prompt`, or two whole conversations in the Human/Assistant
      layout, see `paired_answers`. Here an answer may be empty or hold several turns.

    Columns: `item_id` (a hash of the texts), `line`; of what was taken apart `messages`, `better`, `worse`, `letter`
    (of the better answer: the file's, or drawn for each item), `question` (the file's, or None); of a prompt that is
    kept `prompt`, `corrects`, `incorrects`. The columns of the other kind are None.
    """

    def load(self) -> pd.DataFrame:
        """Return one row per comparison; raises `DatasetError` that names file, line and fault."""
        path = Path(self._get_load_path())
        rows, _ = regular_rows(RowSource.of(filepath=path), _item, "chosen", "rejected")
        if not rows:
            raise DatasetError(
                f"{path} holds no comparisons; expected one JSON object a line, with 'prompt', 'corrects' and "
                f"'incorrects', or with 'chosen' and 'rejected'"
            )
        table = pd.DataFrame(
            [{**dict.fromkeys(COLUMNS), **row, "line": line} for line, row in rows.items()], dtype=object
        )
        again = table["item_id"].duplicated()
        if again.any():
            logger.warning(
                "%s: %d comparisons stand there again, such as line %d", path, again.sum(), table["line"][again].iloc[0]
            )
        return table.astype({"line": "int64"})

    def save(self, data: NoReturn) -> NoReturn:
        """Refuse: comparisons are given by people."""
        raise DatasetError(f"{self._filepath} is given by people, not saved by a run")


def _item(row: Row) -> dict[str, Any]:
    if "corrects" in row:
        return _multiple_choice(row)
    if "chosen" in row:
        messages, better, worse = paired_answers(row)
        # which letter it gets says nothing, so it is drawn
        first = rng_for(0, "letter", content_id(render(messages), better, worse)).random() < 0.5  # noqa: PLR2004
        return _taken_apart(messages, better, worse, "A" if first else "B", None)
    raise RowError(
        f"has neither 'corrects' (multiple choice) nor 'chosen' (chosen/rejected), it has {sorted(row)}; "
        f"convert it to one of these formats"
    )


def _multiple_choice(row: Row) -> dict[str, Any]:
    prompt, corrects, incorrects = text_of(row, "prompt"), _texts(row, "corrects"), _texts(row, "incorrects")
    twice = [text for text in {*corrects, *incorrects} if [*corrects, *incorrects].count(text) > 1]
    if twice:
        raise RowError(f"has the option {min(twice)!r} twice in 'corrects' and 'incorrects'; drop one of them")
    taken_apart = _two_options(prompt, corrects, incorrects)
    if taken_apart is not None:
        return taken_apart
    item_id = content_id("as it stands", prompt, *corrects, "or", *incorrects)
    return {"item_id": item_id, "prompt": prompt, "corrects": corrects, "incorrects": incorrects}


def _two_options(prompt: str, corrects: list[str], incorrects: list[str]) -> dict[str, Any] | None:
    """Take two options in the paper's layout apart; None for any other prompt."""
    layout = _PROMPT.fullmatch(prompt)
    if layout is None or len(corrects) != 1 or len(incorrects) != 1 or _THIRD_OPTION.search(prompt, layout.start("b")):
        return None
    correct, wrong = corrects[0], incorrects[0]
    if {correct.strip(), wrong.strip()} != {choice.strip() for choice in CHOICES}:
        raise RowError(f"has {correct!r} as correct and {wrong!r} as incorrect; expected {CHOICES[0]!r} and the other")
    try:
        messages = parse(f"\n\n{layout['dialogue'].strip()}")
    except ValueError:
        return None
    if messages[-1]["role"] != "user" or not all(turn["content"] for turn in messages):
        return None
    a_is_better = correct.strip() == CHOICES[0].strip()
    better, worse = (layout["a"], layout["b"]) if a_is_better else (layout["b"], layout["a"])
    return _taken_apart(messages, better, worse, "A" if a_is_better else "B", layout["question"].strip())


def _taken_apart(messages: list[Message], better: str, worse: str, letter: str, question: str | None) -> dict[str, Any]:
    if better == worse:
        raise IrregularRowError("has the same answer twice; drop the line")
    return {
        "item_id": content_id(render(messages), better, worse),
        "messages": messages,
        "better": better,
        "worse": worse,
        "letter": letter,
        "question": question,
    }


def _texts(row: Row, key: str) -> list[str]:
    given = row.get(key)
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text.strip() for text in texts):
        raise RowError(f"needs a list of at least one text in {key!r}, none of them empty, got {given!r}")
    return texts
