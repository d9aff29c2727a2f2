"""What the rows of raw files hold: conversations, texts, ids and numbers, each checked."""

import hashlib
import re
from typing import Any

from cai_kedro.core.conversation import ASSISTANT, HUMAN, Message, parse, render, user
from cai_kedro.core.layouts.hh import STOPS
from cai_kedro.datasets.row_errors import Row, RowError

#: A marker behind a blank line, however that is written: with spaces in it, or with the line ends of other scripts.
_MARKER = re.compile(rf"(?:[\n\x0b\x0c\x85\u2028\u2029]\s*){{2,}}({'|'.join(map(str.strip, STOPS))})")
#: ASCII digits only: `float` also reads "1_0" and the digits of other scripts.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


#: The columns that a conversation may stand in.
CONVERSATION = ("messages", "prompt", "instruction", "text")
#: What stands beside them: the input of an instruction, a system turn.
BESIDE = ("input", "system")

#: Roles by the names that data sets give them.
_ROLES = {"user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant", "system": "system"}


def conversation_of(row: Row, *, drop_last_answer: bool = False) -> list[Message]:
    """Return the conversation of a row, see `conversation_in`; raises `RowError` unless a human spoke last.

    `drop_last_answer` drops assistant's turns at the end. Space around a turn is dropped. A turn that holds one of
    `STOPS` is refused: a model would read more turns than there are, and a sampled reply, which ends at them, can hold
    none either.
    """
    messages = conversation_in(row)
    while drop_last_answer and messages and messages[-1]["role"] == "assistant":
        messages = messages[:-1]
    for place, turn in enumerate(messages, start=1):
        if not turn["content"]:
            raise RowError(f"has an empty text in turn {place}; fill it in or drop the line")
        refuse_marker(turn["content"], f"turn {place}")
    if not messages or messages[-1]["role"] != "user":
        raise RowError("does not end on a human turn; cut the conversation after what the assistant is to answer")
    return messages


def conversation_in(row: Row) -> list[Message]:
    """Return the turns of a row from `messages` or `prompt`, else `instruction` (and `input`), else `text`.

    The first three may be a text or a list of turns. `system` is put in front. Raises `RowError` where there is none,
    or where two columns hold different ones.
    """
    given = {name: _turns_in(row[name]) for name in ("messages", "prompt") if name in row}
    if not given and "instruction" in row:
        given = {"instruction": _turns_in(_with_input(row))}
    elif not given and "text" in row:
        given = {"text": _turns_in(row["text"])}
    if not given:
        raise RowError(
            f"misses the column 'messages' (a list of role and content) or 'prompt' (a text), or 'instruction' or "
            f"'text', it has {sorted(row)}; add or rename one"
        )
    messages, *others = given.values()
    if others and others[0] != messages:
        raise RowError(
            "has one conversation in 'messages' and another one in 'prompt'; drop one of the columns, in the entry by "
            "`columns: {messages: null}` or `{prompt: null}`"
        )
    return _with_system(row, messages)


def _turns_in(given: Any) -> list[Message]:
    return _from_text(given) if isinstance(given, str) else from_turns(given)


def _with_input(row: Row) -> Any:
    instruction, more = row["instruction"], row.get("input")
    if isinstance(instruction, str) and isinstance(more, str) and more.strip():
        return f"{instruction.strip()}\n\n{more.strip()}"
    return instruction


def _with_system(row: Row, messages: list[Message]) -> list[Message]:
    said = row.get("system")
    if not isinstance(said, str) or not said.strip():
        return messages
    if messages and messages[0]["role"] == "system":
        if messages[0]["content"] != said.strip():
            raise RowError("has one system turn in 'system' and another one in the conversation; drop one of them")
        return messages
    return [Message(role="system", content=said.strip()), *messages]


def refuse_marker(text: str, where: str, kind: type[RowError] = RowError) -> None:
    """Raise `RowError` for a text that holds the marker of a turn or of a request behind a blank line."""
    marker = _MARKER.search(text)
    if marker is not None:
        raise kind(
            f"holds the marker {marker[1]!r} behind a blank line inside {where}; give the turns as 'messages', or take "
            f"the blank line out"
        )


def text_of(row: Row, column: str, default: str | None = None) -> str:
    """Return a text that is not empty; raises `RowError`. Without a default the column has to be there."""
    value = row.get(column, default)
    if value is None:
        raise RowError(f"misses the column {column!r}, it has {sorted(row)}")
    if not isinstance(value, str) or not value.strip():
        raise RowError(f"has no text in {column!r}: {value!r}")
    return value


def answer_of(row: Row, column: str) -> str:
    """Return the text of one assistant's turn, without space around; raises `RowError` as for a turn."""
    answer = text_of(row, column).strip()
    if is_laid_out(answer):
        raise RowError(f"opens {column!r} with the marker of a turn; give the text of the answer alone")
    refuse_marker(answer, repr(column))
    return answer


def id_of(row: Row, column: str, default: str | None = None) -> str:
    """Return an id, without space around. A whole number is read as its digits; any other number is refused."""
    value = row.get(column, default)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is not None and not isinstance(value, str):
        raise RowError(f"has no text in {column!r}: {value!r}; an id is a text or a whole number")
    return text_of(row, column, default).strip()


def number_of(row: Row, column: str, low: float, high: float, expected: str) -> float:
    """Return a number, given as one or as its digits; raises `RowError` that ends on what is expected."""
    value: Any = row.get(column)
    if value is None:
        raise RowError(f"misses the column {column!r}, it has {sorted(row)}; expected {expected}")
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise RowError(f"has the {column} {row[column]!r}; expected {expected}")
    return float(value)


def content_id(*texts: str) -> str:
    """Return an id that depends on the texts alone."""
    return hashlib.blake2b("\x1f".join(texts).encode(), digest_size=8).hexdigest()


def prompt_id_of(messages: list[Message]) -> str:
    """Return the id of a conversation that was given none."""
    return content_id(render(messages))


def is_laid_out(text: str) -> bool:
    """Say whether a text opens with a turn of the Human/Assistant layout, with or without the blank line in front."""
    return f"\n\n{text.lstrip()}".startswith((HUMAN, ASSISTANT))


def turns_of(text: str) -> list[Message]:
    """Read the Human/Assistant layout; raises `RowError` for a text that opens with no turn."""
    try:
        return parse(f"\n\n{text.strip()}")
    except ValueError as error:
        raise RowError(f"is no conversation: {error}") from error


def _from_text(text: str) -> list[Message]:
    """Read the Human/Assistant layout, or take the text as one human turn."""
    if not is_laid_out(text):
        return [user(text.strip())]
    messages = turns_of(text)
    waits = len(messages) > 1 and messages[-1]["role"] == "assistant" and not messages[-1]["content"]
    return messages[:-1] if waits else messages


def from_turns(given: Any) -> list[Message]:
    """Read a list of turns, with `role` and `content` or `from` and `value`; raises `RowError`."""
    if not isinstance(given, list):
        raise RowError(f"has {type(given).__name__} for a conversation; expected a text or a list of role and content")
    messages = []
    for place, turn in enumerate(given, start=1):
        role = turn.get("role", turn.get("from")) if isinstance(turn, dict) else None
        if not isinstance(role, str) or role not in _ROLES or (role == "system" and place > 1):
            raise RowError(
                f"has a turn {place} without a role of 'user' or 'assistant' (or, as the first turn, 'system'): "
                f"{str(turn)[:80]!r}"
            )
        content = turn.get("content", turn.get("value"))
        if not isinstance(content, str):
            raise RowError(f"has a turn {place} without a text in 'content': {str(turn)[:80]!r}")
        messages.append(Message(role=_ROLES[role], content=content.strip()))  # type: ignore[typeddict-item]
    return messages
