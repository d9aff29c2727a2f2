"""Reads lists of requests, as open models publish their constitutions: `[{critic, revision}, …]`.

Such a list has no questions for comparing two responses; they are made from the requests for a critique.
"""

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cai_kedro.core.constitution import NO_FEW_SHOTS, Constitution, CritiqueFewShot
from cai_kedro.core.constitution_entries import build, entries, require_list, require_text

#: Our name of a field → the names that lists give it.
_NAMES = {
    "critique_request": ("critic", "critique_request"),
    "revision_request": ("revision", "revision_request"),
    "question": ("question",),
    "id": ("id",),
    "title": ("title", "name"),
    "harms": ("harms",),
}
_NEEDED = ("critique_request", "revision_request")
#: The keys of a mapping around such a list; the second holds worked critiques as conversations of six turns.
LIST_KEY, EXAMPLES_KEY = "constitutions", "system_chat"
_TURNS = ("user", "assistant") * 3

ASKED_FROM_CRITIC = "Please choose the response about which the answer to this request would have less to say: {}"

_FRAMES = re.compile(r"^(?:CritiqueRequest|RevisionRequest):|(?:Critique|Revision):$")


def is_list_of_requests(content: Any) -> bool:
    """Tell whether a file holds such a list, alone or under `constitutions`."""
    if isinstance(content, Mapping):
        return LIST_KEY in content
    return isinstance(content, list) and bool(content) and isinstance(content[0], Mapping)


def read_requests(content: Any, path: Path) -> Constitution:
    """Read the list; raises `ValueError` that names file, entry and field."""
    where, examples = str(path), []
    if isinstance(content, Mapping):
        unknown = sorted(set(map(str, content)) - {LIST_KEY, EXAMPLES_KEY})
        if unknown:
            raise ValueError(f"{path}: expected the keys {LIST_KEY} and {EXAMPLES_KEY}, got also {', '.join(unknown)}")
        where, examples = f"{path}: {LIST_KEY}", content.get(EXAMPLES_KEY, [])
        content = content[LIST_KEY]
    raw = [_entry(entry, number, f"{where}: entry {number}") for number, entry in _numbered(content, where)]
    at = f"{path}: {EXAMPLES_KEY}"
    critiques = [_example(chat, f"{at}: entry {number}") for number, chat in _numbered(examples, at)]
    few_shots = NO_FEW_SHOTS.model_copy(update={"critiques": entries(CritiqueFewShot, critiques, at)})
    named = ("id", "title", "harms")
    return build(
        critiques=[{key: entry[key] for key in (*named, *_NEEDED)} for entry in raw],
        critiques_at=where,
        preferences=[{key: entry[key] for key in (*named, "question")} for entry in raw],
        preferences_at=where,
        few_shots=few_shots,
    )


def _numbered(content: Any, where: str) -> enumerate[Any]:
    return enumerate(require_list(content, where), start=1)


def _entry(entry: Any, number: int, where: str) -> dict[str, Any]:
    if not isinstance(entry, Mapping):
        raise ValueError(f"{where}: expected a mapping with critic and revision, got {type(entry).__name__}")
    theirs = {name: ours for ours, names in _NAMES.items() for name in names}
    unknown = next((str(key) for key in entry if key not in theirs), None)
    if unknown is not None:
        near = difflib.get_close_matches(unknown, theirs, n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{where}: unknown key {unknown!r}{hint}; an entry may have {', '.join(theirs)}")
    fields = {ours: entry[name] for ours, names in _NAMES.items() for name in names if name in entry}
    for ours in _NEEDED:
        if ours not in fields:
            raise ValueError(f"{where}: the field {_NAMES[ours][0]!r} is missing; write what the model is asked")
        fields[ours] = _bare(require_text(fields[ours], f"{where}: {_NAMES[ours][0]}"))
    return {
        "id": f"principle_{number:02d}",
        "title": fields["critique_request"],
        "harms": [],
        "question": ASKED_FROM_CRITIC.format(fields["critique_request"]),
        **fields,
    }


def _bare(text: str) -> str:
    """Take off the frames that some lists write around a request; a layout adds them."""
    return _FRAMES.sub("", text.strip()).strip()


def _example(chat: Any, where: str) -> dict[str, Any]:
    turns: Sequence[Any] = require_list(chat, where)
    roles = tuple(turn.get("role") if isinstance(turn, Mapping) else None for turn in turns)
    if roles != _TURNS:
        raise ValueError(
            f"{where}: expected six turns of user and assistant in turn (prompt, response, request for a critique, "
            f"critique, request for a revision, revision), got {list(roles)}"
        )
    prompt, response, critic, critique, reviser, revision = (
        require_text(turn.get("content"), f"{where}: turn {number}") for number, turn in enumerate(turns, start=1)
    )
    return {
        "messages": [{"role": "user", "content": prompt.strip()}],
        "response": response,
        "critique_request": _bare(critic),
        "critique": critique,
        "revision_request": _bare(reviser),
        "revision": revision,
    }
