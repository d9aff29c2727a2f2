"""The chat layout: every ask is a conversation, written by the tokenizer's own chat template.

Critiques and revisions are turns of the conversation that they are about. A comparison is one user turn; its letter is
read in an assistant turn that is already started. Worked examples are earlier turns. Rules stand in a system turn.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from cai_kedro.core.asks import (
    Ask,
    Comparison,
    Continue,
    Critique,
    DirectRevision,
    NumberedList,
    Plain,
    Reply,
    Revision,
    RuledReply,
    RuleThoughts,
    StyledReply,
    Thoughts,
    Verdict,
    Worked,
)
from cai_kedro.core.conversation import Conversation, Message, assistant, render, system, user
from cai_kedro.core.layouts.base import BREAK, LayoutKind, Written
from cai_kedro.core.layouts.hh import numbered, options, rules_text

CONSIDER = "Consider the following conversation between a human and an assistant:"
WHICH = "Which option do you choose, (A) or (B)?"
STEP_BY_STEP = "Let's think step by step, before you choose an option."
SO_WHICH = "So which option do you choose, (A) or (B)?"
LETTER_ALONE = "Answer with the letter alone, A or B."
ONLY_THE_RESPONSE = "Write the new response to the human and nothing else."
GO_ON = "Go on with this list. Write further lines of the same kind and nothing else."
GO_ON_FROM = "Go on with this list from number {}. Write one item a line and nothing else."
WHICH_RULES = (
    "Before you answer, think: what does the human want, and which of the rules apply? Name each of them by its number "
    "and name, as in: rule 1 (name)."
)
NOW_ANSWER = "Now answer the human. Do not speak of the rules."

#: How the assistant's turn begins in which a letter is read, and the two letters.
THE_ANSWER = "The answer is:"
CHOICES: tuple[str, str] = (" (A)", " (B)")

#: Writes turns, and with True the opening of the assistant's turn behind them.
Template = Callable[[Sequence[Message], bool], str]


@dataclass(frozen=True)
class ChatLayout:
    """The layout of a model with a chat template of its own.

    `control` finds the names of control tokens; `lead` is what the template writes between the opening of the
    assistant's turn and its content; a template that `takes_system` turns has a place for them, in others the text
    stands in front of the first user turn.
    """

    template: str
    control: re.Pattern[str]
    turn_end: str | None
    lead: str
    takes_system: bool
    write: Template = field(repr=False, compare=False)

    kind: ClassVar[LayoutKind] = "chat"
    bos: ClassVar[bool] = False

    @property
    def digest(self) -> str:
        """The sha256 of the template and of what was found out about it."""
        parts = [self.kind, self.template, self.turn_end, self.lead, self.takes_system]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def prompt(self, ask: Ask) -> Written:
        """Write down an ask as a conversation that waits for the assistant, or for the rest of its turn."""
        opened = self._written(turns(ask), True)
        return Written(f"{opened}{self.lead}{THE_ANSWER}" if _is_choice(ask) else opened, control=True)

    def answer(self, messages: Conversation, response: str) -> Written:
        """Write down what the template writes of the assistant's turn, from the opening to the token that ends it."""
        asked = turns(Reply(messages))
        opened = self._written(asked, True)
        whole = self._written([*asked, assistant(response)], False)
        if not whole.startswith(opened):  # the opening holds more than a turn that is over, such as an empty thought
            return Written(f"{self.lead}{self._text(response)}", control=True)
        said = whole[len(opened) :]
        end = said.find(self.turn_end) if self.turn_end else -1
        return Written(said[:end] if end >= 0 else said.rstrip(), control=True)

    def stops(self, ask: Ask) -> tuple[str, ...]:
        """Return nothing: a turn ends on its token. Plain texts have stop strings of their own."""
        return ask.stops if isinstance(ask, Plain) else ()

    def choices(self, ask: Ask) -> tuple[str, ...]:
        """Return the two letters in brackets, of a plain text its own choices."""
        return tuple(choice.strip() for choice in ask.choices) if isinstance(ask, Plain) else CHOICES

    def _written(self, messages: Sequence[Message], opened: bool) -> str:
        messages = messages if self.takes_system else without_system(messages)
        safe = [Message(role=turn["role"], content=self._text(turn["content"])) for turn in messages]
        return self.write(safe, opened)

    def _text(self, content: str) -> str:
        return self.control.sub(lambda name: f"{name[0][:1]}{BREAK}{name[0][1:]}", content)


@dataclass(frozen=True)
class ServedTurns:
    """The layout of a model on a server that takes turns and puts the model's chat template around them itself.

    No turn of the assistant can be started there: the letter is the first thing that it says.
    """

    kind: ClassVar[LayoutKind] = "chat"
    template: ClassVar[str] = ""
    bos: ClassVar[bool] = False
    turn_end: ClassVar[str | None] = None
    digest: ClassVar[str] = "served turns"

    def messages(self, ask: Ask) -> list[Message]:
        """Return an ask as the turns that are sent."""
        return turns(ask, started=False)

    def prompt(self, ask: Ask) -> Written:
        """Write the turns down for people; what the model reads, the server alone knows."""
        return Written("\n\n".join(f"{turn['role']}: {turn['content']}" for turn in self.messages(ask)))

    def answer(self, messages: Conversation, response: str) -> Written:
        """Write down an answer."""
        return Written(response)

    def stops(self, ask: Ask) -> tuple[str, ...]:
        """Return nothing, of a plain text its own stop strings."""
        return ask.stops if isinstance(ask, Plain) else ()

    def choices(self, ask: Ask) -> tuple[str, ...]:
        """Return the two letters, of a plain text its own choices."""
        return tuple(choice.strip() for choice in ask.choices) if isinstance(ask, Plain) else ("A", "B")


SERVED = ServedTurns()


def _is_choice(ask: Ask) -> bool:
    return isinstance(ask, Comparison | Verdict)


def turns(ask: Ask, *, started: bool = True) -> list[Message]:
    """Return an ask as a conversation that ends on a user turn.

    A system turn of the conversation stands first. Neighbours of one role become one turn: most templates refuse them.
    `started`: the assistant's turn will be started where a letter is read. Where that cannot be, as on a server, the
    letter alone is asked for.
    """
    worked = [turn for example in _examples(ask) for turn in without_system(_worked(example, started))]
    own = _asked(ask) if started else _for_a_letter(ask)
    system = [turn for turn in own if turn["role"] == "system"]
    return list(_alternating([*system, *worked, *(turn for turn in own if turn["role"] != "system")]))


def _examples(ask: Ask) -> Sequence[Worked]:
    return _examples(ask.of) if isinstance(ask, Verdict | RuledReply) else getattr(ask, "examples", ())


def _worked(example: Worked, started: bool) -> list[Message]:
    if isinstance(example.ask, NumberedList):
        return [*_asked(example.ask), assistant(f"{len(example.ask.items) + 1}. {example.answer}")]
    if started:
        said = f"{THE_ANSWER} ({example.answer})" if _is_choice(example.ask) else example.answer
        return [*_asked(example.ask), assistant(said)]
    return [*_for_a_letter(example.ask), assistant(example.answer)]


def _for_a_letter(ask: Ask) -> list[Message]:
    asked = _asked(ask)
    return [*asked, user(LETTER_ALONE)] if _is_choice(ask) else asked


def _asked(ask: Ask) -> list[Message]:  # noqa: PLR0911, PLR0912 - one line for each kind of ask
    """Return an ask as turns, without its worked examples."""
    match ask:
        case Reply():
            return list(ask.messages)
        case Critique():
            return [*ask.messages, assistant(ask.response), user(ask.critique_request)]
        case Revision():
            critique = Critique(ask.messages, ask.response, ask.critique_request)
            return [*_asked(critique), assistant(ask.critique), user(f"{ask.revision_request}\n\n{ONLY_THE_RESPONSE}")]
        case DirectRevision():
            asked = f"{ask.revision_request}\n\n{ONLY_THE_RESPONSE}"
            return [*ask.messages, assistant(ask.response), user(asked)]
        case Comparison():
            return [user(f"{_shown(ask)}\n\n{WHICH}")]
        case Thoughts():
            return [user(f"{_shown(ask)}\n\n{STEP_BY_STEP}")]
        case Verdict():
            return [*_asked(ask.of), assistant(ask.thoughts), user(SO_WHICH)]
        case Continue():
            return [user(f"{GO_ON}\n\n{ask.text}")]
        case RuleThoughts():
            rules = [system(text)] if (text := rules_text(ask.rules)) else []
            return [*rules, *ask.messages, user(WHICH_RULES)]
        case RuledReply():
            return [*_asked(ask.of), assistant(ask.thoughts), user(NOW_ANSWER)]
        case StyledReply():
            return [system(ask.instruction), *ask.messages]
        case Plain():
            return [user(ask.text)]
        case NumberedList():
            return [user(f"{numbered(ask)}\n\n{GO_ON_FROM.format(len(ask.items) + 1)}")]


def _shown(ask: Comparison | Thoughts) -> str:
    return f"{CONSIDER}{render(ask.messages)}\n\n{ask.question} Options:{options(ask.first, ask.second)}"


def without_system(messages: Sequence[Message]) -> list[Message]:
    """Put the text of system turns in front of the user turn that follows."""
    kept: list[Message] = []
    before: list[str] = []
    for turn in messages:
        if turn["role"] == "system":
            before.append(turn["content"])
        else:
            kept.append(Message(role=turn["role"], content="\n\n".join([*before, turn["content"]])))
            before = []
    return kept


def _alternating(messages: Sequence[Message]) -> Iterator[Message]:
    last: Message | None = None
    for turn in messages:
        if last is not None and last["role"] == turn["role"]:
            last = Message(role=turn["role"], content=f"{last['content']}\n\n{turn['content']}")
            continue
        if last is not None:
            yield last
        last = turn
    if last is not None:
        yield last
