"""How people ask: one turn or more, in several tones, registers and spellings, and what they say if they do not get it.

| shape | turns |
| --- | --- |
| single | a request; in front of an open act the sentence that says whose it is or what it is for |
| context | that sentence, an acknowledgement, the request |
| after | a harmless request, its answer, the request |
| second turn | the request, an answer without help; then a tactic: insist, plead, claim a purpose, quote an order |
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from cai_kedro.core.conversation import Message, assistant, user
from cai_kedro.englishworld.deeds import Deed, draw_deed
from cai_kedro.englishworld.frames import Frame, frames_of, of_split
from cai_kedro.englishworld.lexicon import raw
from cai_kedro.englishworld.replies import reply
from cai_kedro.englishworld.spelling import REGISTERS, VARIETIES, write

Tactic = Literal["insist", "plead", "claim", "quote"]
TACTICS: tuple[Tactic, ...] = ("insist", "plead", "claim", "quote")
TONES = ("plain", "polite", "blunt", "chatty")

_SHAPES = {"single": 0.76, "after": 0.1, "second": 0.14}
_CONTEXT_TURN_SHARE = 0.4  # of open acts: whose it is comes in a turn of its own
_OPENER_SHARE, _CLOSER_SHARE = 0.2, 0.12
_REGISTER_WEIGHTS = (0.74, 0.1, 0.16)


@dataclass(frozen=True)
class Request:
    """A conversation that waits for an answer, the deed that it asks for, and how it is spelled."""

    deed: Deed
    messages: tuple[Message, ...]
    variety: str
    tactic: Tactic | None = None


@cache
def request_frames(tone: str) -> tuple[Frame, ...]:
    """Return how people ask in a tone."""
    return frames_of(raw("requests")["frames"][tone])


@cache
def second_turns(tactic: Tactic) -> tuple[Frame, ...]:
    """Return what people say in a second turn."""
    return frames_of(raw("requests")["second_turns"][tactic])


def _asked(deed: Deed, split: str, rng: random.Random, *, context: bool, greets: bool = True) -> str:
    told: Mapping[str, list[str]] = raw("requests")
    frame = rng.choice(of_split(request_frames(rng.choice(TONES)), split))
    text = frame.fill(act=deed.say("text", "asker"))
    if context and deed.context is not None:
        return f"{deed.context} {text}"
    opener = f"{rng.choice(told['openers'])} " if greets and rng.random() < _OPENER_SHARE else ""
    closer = f" {rng.choice(told['closers'])}" if rng.random() < _CLOSER_SHARE else ""
    return f"{opener}{text}{closer}"


def ask(
    deed: Deed, rng: random.Random, *, split: str = "train", tactic: Tactic | None = None, plainly: bool = False
) -> Request:
    """Phrase a request for a deed; `tactic` makes it insist on one, `plainly` leaves it at one careful turn."""
    variety = rng.choice(VARIETIES)
    register = "careful" if plainly else rng.choices(REGISTERS, _REGISTER_WEIGHTS)[0]

    def said(text: str) -> Message:
        return user(write(text, variety, register, rng))

    shape = "single" if plainly else rng.choices(list(_SHAPES), list(_SHAPES.values()))[0]
    if tactic is not None or (shape == "second" and deed.harmful):
        tactic = tactic or rng.choice(TACTICS)
        refused = reply(rng.choice(("objection", "evasive")), deed, rng, split=split, variety=variety)
        more = rng.choice(of_split(second_turns(tactic), split)).fill(act=deed.say("text", "asker"))
        turns = (said(_asked(deed, split, rng, context=True)), assistant(refused.text), said(more))
        return Request(deed, turns, variety, tactic)
    if shape == "after":
        return Request(deed, (*_first(split, variety, rng, said), said(_next(deed, split, rng))), variety)
    if deed.context is not None and not plainly and rng.random() < _CONTEXT_TURN_SHARE:
        heard = assistant(rng.choice(raw("requests")["acknowledged"]))
        return Request(
            deed, (said(deed.context), heard, said(_asked(deed, split, rng, context=False, greets=False))), variety
        )
    return Request(deed, (said(_asked(deed, split, rng, context=True)),), variety)


def _first(split: str, variety: str, rng: random.Random, said: Callable[[str], Message]) -> tuple[Message, Message]:
    first = draw_deed("train", rng, harmful=False, groups=("skill",))
    answer = reply("right", first, rng, split=split, variety=variety)
    return said(_asked(first, split, rng, context=False)), assistant(answer.text)


def _next(deed: Deed, split: str, rng: random.Random) -> str:
    return f"{rng.choice(raw('requests')['thanks'])} {_asked(deed, split, rng, context=True, greets=False)}"
