"""Conversations as messages, and the Human/Assistant layout in which a model reads them (paper, appendix format)."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

HUMAN = "\n\nHuman:"
ASSISTANT = "\n\nAssistant:"
_OPENS = {"system": "\n\n", "user": f"{HUMAN} ", "assistant": f"{ASSISTANT} "}
_MARKER = re.compile(f"({HUMAN}|{ASSISTANT})")

# What `tokenizer.apply_chat_template` writes is byte for byte what `render` and `as_prompt` write.
HH_CHAT_TEMPLATE = (
    "{% set opens = {'system': '\n\n', 'user': '\n\nHuman: ', 'assistant': '\n\nAssistant: '} %}"
    "{% for message in messages %}{{ opens[message['role']] }}{{ message['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '\n\nAssistant:' }}{% endif %}"
)


class Message(TypedDict):
    """One turn. `role` is `user` for the human and `assistant` for the model, as chat templates expect.

    A first turn may be of the `system`: what holds for the whole conversation.
    """

    role: Literal["system", "user", "assistant"]
    content: str


Conversation = Sequence[Message]


def as_messages(cell: Iterable[Mapping[str, Any]]) -> list[Message]:
    """Return a table cell (Parquet gives arrays of mappings) as a plain list of messages."""
    return [Message(role=turn["role"], content=turn["content"]) for turn in cell]


def system(content: str) -> Message:
    """Return the turn that says what holds for the whole conversation; it can only be the first one."""
    return Message(role="system", content=content)


def user(content: str) -> Message:
    """Return a human turn."""
    return Message(role="user", content=content)


def assistant(content: str) -> Message:
    """Return an assistant turn."""
    return Message(role="assistant", content=content)


def render(messages: Conversation) -> str:
    """Write a conversation in the Human/Assistant layout, each turn behind two line breaks; the system has no name."""
    return "".join(f"{_OPENS[turn['role']]}{turn['content']}" for turn in messages)


def as_prompt(messages: Conversation) -> str:
    """Write a conversation so that the assistant speaks next. The completion starts with one space."""
    return render(messages) + ASSISTANT


def parse(text: str) -> list[Message]:
    """Read the Human/Assistant layout back into messages.

    Only a marker that stands behind a blank line opens a turn, so `Human:` inside a turn stays text. Space around a
    turn is dropped, an empty turn is kept as an empty one: a text that waits for the assistant ends on one. Raises
    `ValueError` when the text does not open with a turn.
    """
    if not text.startswith((HUMAN, ASSISTANT)):
        raise ValueError(
            f"a conversation in the Human/Assistant layout must start with {HUMAN!r} or {ASSISTANT!r}, "
            f"got {text[:40]!r}"
        )
    _, *parts = _MARKER.split(text)
    return [
        user(content.strip()) if marker == HUMAN else assistant(content.strip())
        for marker, content in zip(parts[::2], parts[1::2], strict=True)
    ]
