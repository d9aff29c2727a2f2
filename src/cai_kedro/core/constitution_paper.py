"""Reads the JSON files that the paper's authors released: instructions and few-shot prompts, frames and all.

The frames (`CritiqueRequest:`, ` Options:` …) and the open human turns at the end come off; a layout puts its own on.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cai_kedro.core.constitution import ComparisonFewShot, Constitution, CotFewShot, CritiqueFewShot, FewShots
from cai_kedro.core.constitution_entries import (
    build,
    entries,
    load,
    require_keys,
    require_list,
    require_only,
    require_text,
)
from cai_kedro.core.conversation import Message, assistant, parse, user

PAPER_FILES = (
    "CritiqueRevisionInstructions.json",
    "RLMadisonInstructions.json",
    "CritiqueRevisionFewShotPrompts.json",
    "RLMadisonFewShotPrompts.json",
    "RLMadisonPrecogFewShotPrompts.json",
)

OPTIONS = "Options:"

_CRITIQUE_EXAMPLE = re.compile(
    r"(?P<dialogue>.+?)\n\nCritiqueRequest:(?P<critique_request>.+?)\n\nCritique:(?P<critique>.+?)"
    r"\n\nRevisionRequest:(?P<revision_request>.+?)\n\nRevision:(?P<revision>.+?)(?:\n\nHuman:\s*)?",
    re.DOTALL,
)
_COT_EXAMPLE = re.compile(
    r"\s*Human: Consider the following[^\n]*:\n\n(?P<dialogue>.+?)\n\n(?P<question>[^\n]+)"
    r"\n \(A\) \[\[\[(?P<first>.+?)\]\]\]\n \(B\) \[\[\[(?P<second>.+?)\]\]\]"
    r"\n\nAssistant: Let's think step by step:(?P<thoughts>.+?)\n\nHuman:\nSo the answer is: \((?P<answer>[AB])\)\s*",
    re.DOTALL,
)
_COT_TURN = re.compile(r"(?:^|\n\n)([HA]):")


#: Without these there is no constitution; the others hold worked examples.
NEEDED_PAPER_FILES = PAPER_FILES[:2]


def read_paper_folder(folder: Path) -> Constitution:
    """Read the files that are there; ids of critique principles are the paper's, harms are unknown and left empty."""
    critiques, questions, shots, pairs, cots = (folder / name for name in PAPER_FILES)
    requests = load(critiques)
    if not isinstance(requests, dict):
        raise ValueError(f"{critiques}: expected a mapping of ids to instructions, got {type(requests).__name__}")
    return build(
        critiques=[_paper_critique(name, entry, f"{critiques}: entry {name!r}") for name, entry in requests.items()],
        critiques_at=str(critiques),
        preferences=[{"id": f"preference{i}", **entry} for i, entry in enumerate(_each(_paper_preference, questions))],
        preferences_at=str(questions),
        few_shots=FewShots(
            critiques=entries(CritiqueFewShot, _each(_paper_critique_example, shots), str(shots)),
            comparisons=entries(ComparisonFewShot, _each(_paper_comparison_example, pairs), str(pairs)),
            cots=entries(CotFewShot, _each(_paper_cot_example, cots), str(cots)),
            red_team_prompts=(),
        ),
    )


def _paper_critique(name: str, entry: Any, where: str) -> dict[str, Any]:
    require_keys(entry, ("prompt", "edit_request"), where)
    request = require_only(entry["prompt"], f"{where}: prompt").strip()
    edit = require_text(entry["edit_request"], f"{where}: edit_request").strip()
    return {
        "id": name,
        "title": name,
        "harms": [],
        "critique_request": request.removeprefix("CritiqueRequest:").removesuffix("Critique:").strip(),
        "revision_request": edit.removeprefix("RevisionRequest:").removesuffix("Revision:").strip(),
    }


def _paper_preference(entry: Any, where: str) -> dict[str, Any]:
    question = require_text(entry, where).strip().removesuffix(OPTIONS).strip()
    return {"title": question, "harms": [], "question": question}


def _paper_critique_example(entry: Any, where: str) -> dict[str, Any]:
    found = _CRITIQUE_EXAMPLE.fullmatch(require_text(entry, where))
    if found is None:
        raise ValueError(
            f"{where}: expected a dialogue with CritiqueRequest, Critique, RevisionRequest and Revision behind it, "
            f"each after a blank line"
        )
    parts = found.groupdict()
    *messages, last = _turns(parts.pop("dialogue"), where)
    if last["role"] != "assistant":
        raise ValueError(f"{where}: expected an assistant turn in front of CritiqueRequest, got a human one")
    return {"messages": messages, "response": last["content"], **parts}


def _paper_comparison_example(entry: Any, where: str) -> dict[str, Any]:
    require_keys(entry, ("prompt", "corrects", "incorrects"), where)
    messages = _turns(require_text(entry["prompt"], f"{where}: prompt"), where)
    if messages[-1] == assistant(""):  # the open turn in which the response would stand
        messages.pop()
    return {
        "messages": messages,
        "better": require_only(entry["corrects"], f"{where}: corrects"),
        "worse": require_only(entry["incorrects"], f"{where}: incorrects"),
    }


def _paper_cot_example(entry: Any, where: str) -> dict[str, Any]:
    require_keys(entry, ("prompt",), where)
    found = _COT_EXAMPLE.fullmatch(require_text(entry["prompt"], f"{where}: prompt"))
    if found is None:
        raise ValueError(
            f"{where}: expected a conversation of H: and A: turns, a question or {{}}, two options, step by step "
            f"thoughts and 'So the answer is: (A)' or '(B)'"
        )
    parts: dict[str, Any] = found.groupdict()
    question = parts["question"].strip().removesuffix(OPTIONS).strip()
    return {
        **{key: parts[key] for key in ("first", "second", "thoughts", "answer")},
        "messages": _abbreviated_turns(parts["dialogue"]),
        "question": None if question == "{}" else question,  # {} stands for a drawn principle
    }


def _turns(dialogue: str, where: str) -> list[Message]:
    try:
        return parse(f"\n\n{dialogue.strip()}")
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _abbreviated_turns(dialogue: str) -> list[Message]:
    _, *parts = _COT_TURN.split(dialogue)
    return [
        user(content.strip()) if letter == "H" else assistant(content.strip())
        for letter, content in zip(parts[::2], parts[1::2], strict=True)
    ]


def _each(read: Callable[[Any, str], dict[str, Any]], path: Path) -> list[dict[str, Any]]:
    if not path.is_file() and path.name not in NEEDED_PAPER_FILES:
        return []
    return [
        read(entry, f"{path}: entry {position}")
        for position, entry in enumerate(require_list(load(path), str(path)), start=1)
    ]
