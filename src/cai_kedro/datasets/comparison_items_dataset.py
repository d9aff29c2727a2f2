"""Real comparisons of two answers of which one is known to be better, as people publish them."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
from kedro.io import DatasetError

from cai_kedro.core.conversation import ASSISTANT, Message, parse, render
from cai_kedro.core.prompts import CHOICES, CONSIDER
from cai_kedro.core.seeding import rng_for
from cai_kedro.datasets.prompt_rows import RowError, content_id, each, json_row, read_lines, text_of
from cai_kedro.datasets.versioned import LocalVersionedDataset

COLUMNS = ["item_id", "line", "messages", "better", "worse", "letter", "question"]

#: The paper's multiple-choice prompt: a conversation, a question, and two options in brackets.
_PROMPT = re.compile(
    re.escape(CONSIDER) + r"(?P<dialogue>.*?)\n\n+(?P<question>[^\n]+) Options:"
    r"\n \(A\) \[\[\[(?P<a>.*)\]\]\]\n \(B\) \[\[\[(?P<b>.*)\]\]\]\n\nThe answer is:\s*",
    re.DOTALL,
)


class ComparisonItemsDataset(LocalVersionedDataset[NoReturn, pd.DataFrame]):
    """Comparisons from JSON lines, plain or gzip, in one of two formats. Read only.

    - Multiple choice, as the paper released: `prompt, corrects[1], incorrects[1]`; other keys are left out.
    - `chosen, rejected`: two whole conversations in the Human/Assistant layout. What they share is the conversation,
      the rest of each the answer. So an answer can be empty, and where the two differ before the last turn it holds
      several turns.

    Columns: `item_id` (a hash of the texts), `line`, `messages`, `better`, `worse`, `letter` (of the better answer: the
    file's, or drawn for each item), `question` (the file's, or None).
    """

    def load(self) -> pd.DataFrame:
        """Return one row per comparison; raises `DatasetError` that names file, line and fault."""
        path = Path(self._get_load_path())
        rows = each(path, read_lines(path), lambda line: _item(json_row(line)))
        if not rows:
            raise DatasetError(
                f"{path} holds no comparisons; expected one JSON object a line, with 'prompt', 'corrects' and "
                f"'incorrects', or with 'chosen' and 'rejected'"
            )
        return pd.DataFrame([{**row, "line": line} for line, row in rows.items()])[COLUMNS]

    def save(self, data: NoReturn) -> NoReturn:
        """Refuse: comparisons are given by people."""
        raise DatasetError(f"{self._filepath} is given by people, not saved by a run")


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    if "corrects" in row:
        return _multiple_choice(row)
    if "chosen" in row:
        return _chosen_rejected(row)
    raise RowError(
        f"has neither 'corrects' (multiple choice) nor 'chosen' (chosen/rejected), it has {sorted(row)}; "
        f"convert it to one of these formats"
    )


def _multiple_choice(row: Mapping[str, Any]) -> dict[str, Any]:
    found = _PROMPT.fullmatch(text_of(row, "prompt"))
    if found is None:
        raise RowError("has a prompt that is no conversation with a question and the options ' (A) [[[…]]]', ' (B) …'")
    correct, wrong = _only(row, "corrects"), _only(row, "incorrects")
    if {correct, wrong} != set(CHOICES):
        raise RowError(f"has {correct!r} as correct and {wrong!r} as incorrect; expected {CHOICES[0]!r} and the other")
    messages = _parsed(found["dialogue"])
    if messages[-1]["role"] != "user":
        raise RowError("has a conversation that does not end on a human turn; cut it there")
    a_is_better = correct == CHOICES[0]
    better, worse = (found["a"], found["b"]) if a_is_better else (found["b"], found["a"])
    return _row(messages, better, worse, "A" if a_is_better else "B", found["question"].strip())


def _chosen_rejected(row: Mapping[str, Any]) -> dict[str, Any]:
    chosen, rejected = (_parsed(text_of(row, key)) for key in ("chosen", "rejected"))
    for key, turns in (("chosen", chosen), ("rejected", rejected)):
        if turns[-1]["role"] != "assistant":
            raise RowError(f"does not end on an assistant turn in {key!r}; drop what follows the last answer")
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    # the answers begin with an assistant's turn, behind a human one
    while shared and (chosen[shared - 1]["role"] != "user" or _starts_with_human(chosen, rejected, shared)):
        shared -= 1
    if not shared:
        raise RowError("has conversations that share no human turn at their start; they are no answers to one prompt")
    better, worse = _rest(chosen[shared:]), _rest(rejected[shared:])
    # which letter it gets says nothing, so it is drawn
    first = rng_for(0, "letter", content_id(render(chosen[:shared]), better, worse)).random() < 0.5  # noqa: PLR2004
    return _row(chosen[:shared], better, worse, "A" if first else "B", None)


def _row(messages: list[Message], better: str, worse: str, letter: str, question: str | None) -> dict[str, Any]:
    if better == worse:
        raise RowError("has the same answer twice; drop the line")
    return {
        "item_id": content_id(render(messages), better, worse),
        "messages": messages,
        "better": better,
        "worse": worse,
        "letter": letter,
        "question": question,
    }


def _starts_with_human(chosen: list[Message], rejected: list[Message], at: int) -> bool:
    return "user" in (chosen[at]["role"], rejected[at]["role"])


def _rest(turns: list[Message]) -> str:
    return render(turns).removeprefix(ASSISTANT).removeprefix(" ")


def _parsed(text: str) -> list[Message]:
    try:
        return parse(f"\n\n{text.strip()}")
    except ValueError as error:
        raise RowError(f"is no conversation: {error}") from error


def _only(row: Mapping[str, Any], key: str) -> str:
    given = row.get(key)
    if not isinstance(given, list) or len(given) != 1 or not isinstance(given[0], str):
        raise RowError(f"needs a list of one text in {key!r}, got {given!r}")
    return given[0]
