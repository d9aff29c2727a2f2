"""What a layout is: how an ask is written down for one model, and where an answer ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from cai_kedro.core.asks import Ask
from cai_kedro.core.conversation import Conversation

#: Breaks what a content spells of a control token, so that it stays text: a noncharacter of Unicode, which no text has.
BREAK = "\ufdd0"

LayoutKind = Literal["hh", "chat"]
#: `auto`: chat where the tokenizer has a chat template of its own, else hh.
LayoutChoice = Literal["auto", "hh", "chat"]


@dataclass(frozen=True)
class Written:
    """A text as a model reads it.

    `control`: the names of control tokens in it are control tokens, but for those that a `BREAK` takes apart. Without,
    all of it is plain text.
    """

    text: str
    control: bool = False

    @property
    def shown(self) -> str:
        """The text for people."""
        return self.text.replace(BREAK, "")


class TurnsRefusedError(ValueError):
    """A chat template refuses a conversation, such as one that the assistant opens; `rows` are their places."""

    def __init__(self, message: str, rows: Sequence[int] = (0,)) -> None:
        super().__init__(message)
        self.rows = tuple(rows)


class Layout(Protocol):
    """How one model is asked. Models that are trained from a model keep its layout."""

    @property
    def kind(self) -> LayoutKind:
        """Its name in `layout.json` and in parameters."""
        ...

    @property
    def template(self) -> str:
        """The chat template (Jinja) that writes what this layout writes of a conversation."""
        ...

    @property
    def bos(self) -> bool:
        """Whether the tokenizer's BOS, if it has one, stands in front of a prompt; a template writes its own."""
        ...

    @property
    def turn_end(self) -> str | None:
        """The token behind the assistant's turn, None for the tokenizer's EOS."""
        ...

    @property
    def digest(self) -> str:
        """What tells this layout from others, for fingerprints."""
        ...

    def prompt(self, ask: Ask) -> Written:
        """Write down an ask, up to where the model goes on."""
        ...

    def answer(self, messages: Conversation, response: str) -> Written:
        """Write down the assistant's turn behind `prompt(Reply(messages))`, without the token that ends it."""
        ...

    def stops(self, ask: Ask) -> tuple[str, ...]:
        """Return the strings in front of which an answer ends."""
        ...

    def choices(self, ask: Ask) -> tuple[str, ...]:
        """Return the answers of which the log-probabilities are read, as they go on behind the prompt."""
        ...
