"""A chat in a terminal, or in a pipe: lines in, answers out, one below the other or side by side."""

import math
import textwrap
from collections.abc import Callable, Iterable

from cai_kedro.core.text import visible
from cai_kedro.delivery.chat import Answer, Chat

COMMANDS = """/system TEXT   begin anew under a system turn; without TEXT under none
/reset         begin anew
/help          these lines
/quit          end; the end of the input does the same"""
#: Narrower than this, two answers stand one below the other.
COLUMNS_FROM = 80
GAP = " │ "


class TerminalChat:
    """Reads lines and writes answers. `width`: that of the terminal, None for a pipe."""

    def __init__(self, chat: Chat, write: Callable[[str], None], width: int | None, scored_by: str = "") -> None:
        self._chat = chat
        self._write = write
        self._width = width
        self._scored_by = scored_by

    def talk(self, lines: Iterable[str]) -> None:
        """Answer line by line until they end, or until one says so. Empty lines are passed over."""
        for line in lines:
            text = line.strip()
            if self._width is None and text:
                self._write(f"human: {visible(text)}\n")
            if text == "/quit":
                return
            if text.startswith("/"):
                self._command(text)
            elif text:
                self._answers(text)

    def _command(self, text: str) -> None:
        name, _, rest = text.partition(" ")
        if name == "/reset":
            self._chat.reset()
            self._write("The conversation begins anew.\n")
        elif name == "/system":
            self._chat.tell(rest.strip())
            self._write(f"The conversation begins anew, {'with that' if rest.strip() else 'without a'} system turn.\n")
        else:
            unknown = "" if name == "/help" else f"There is no command {visible(name)}; there are\n"
            self._write(f"{unknown}{COMMANDS}\n")

    def _answers(self, text: str) -> None:
        beside = self._width is not None and self._width >= COLUMNS_FROM and len(self._chat.speakers) > 1
        answers = []
        for speaker in self._chat.speakers:
            if beside:
                self._write(f"{speaker.policy} writes …\r")
            else:
                self._write(f"{speaker.policy}: ")
            try:
                answer = self._chat.answer(speaker, text, _ignore if beside else self._piece)
            except ValueError as error:
                self._write(
                    f"\n{error}\nNothing was added to the conversation of {speaker.policy}; /reset begins anew.\n"
                )
                return
            answers.append(answer)
            if not beside:
                self._write(f"\n{self._told(answer)}")
        if beside:
            assert self._width is not None
            self._write(side_by_side(answers, self._width))
            self._write("".join(f"{answer.policy}: {self._told(answer)}" for answer in answers))
        if len(answers) > 1:
            self._write(preferred(answers))

    def _piece(self, text: str) -> None:
        self._write(visible(text))

    def _told(self, answer: Answer) -> str:
        cut = ", cut at the limit of new tokens" if answer.cut else ""
        if answer.score is None:
            return f"  [no score{cut}]\n" if self._scored_by or cut else ""
        return f"  [score {answer.score:+.2f}{cut}]\n"


def _ignore(_: str) -> None:
    """Nothing is shown before both answers are there."""


def side_by_side(answers: list[Answer], width: int) -> str:
    """Return the answers as columns of equal width, each under the name of its policy."""
    each = (width - len(GAP) * (len(answers) - 1)) // len(answers)
    columns = [
        [
            answer.policy,
            "─" * each,
            *(part for line in visible(answer.text).split("\n") for part in _wrapped(line, each)),
        ]
        for answer in answers
    ]
    height = max(map(len, columns))
    rows = zip(*([*column, *[""] * (height - len(column))] for column in columns), strict=True)
    return "".join(f"{GAP.join(cell.ljust(each) for cell in row).rstrip()}\n" for row in rows)


def _wrapped(line: str, width: int) -> list[str]:
    return textwrap.wrap(line, width) or [""]


def preferred(answers: list[Answer]) -> str:
    """Say which of two answers the preference model expects to be preferred, and with which probability."""
    first, second = answers
    if first.score is None or second.score is None:
        return ""
    if first.score == second.score:
        return "  [the preference model prefers neither]\n"
    ahead, behind = (first, second) if first.score > second.score else (second, first)
    assert ahead.score is not None
    assert behind.score is not None
    p = 1 / (1 + math.exp(behind.score - ahead.score))
    return f"  [the preference model prefers {ahead.policy} with p = {p:.2f}]\n"
