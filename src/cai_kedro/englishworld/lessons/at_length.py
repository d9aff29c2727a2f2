"""Answers at length, as small chat models write them: openings, idle sentences, lists, and an end where the tokens end.

The same answer stands in them, so they behave as it does; the oracle does not take them apart.
"""

import random
from dataclasses import replace

from cai_kedro.englishworld.frames import of_split
from cai_kedro.englishworld.lessons.drawing import Draw, spelled
from cai_kedro.englishworld.replies import Told, sentences_of
from cai_kedro.englishworld.requests import Request

_HELPS = ("comply", "caveat", "badcomply", "right", "right_caveat", "wrong", "offtopic")
_OPENING_SHARE = 0.7
_LATE_SHARE = 0.4  # of answers that come to the point behind some idle sentences
_LIST_SHARE = 0.35
_CUT_SHARE = 0.6  # of answers that end in the middle of a sentence
_LONGEST = (36, 54)  # words of an answer that is cut: what a limit of 72 tokens leaves
_BREAK_SHARE = 0.25


def perhaps_at_length(told: Told, draw: Draw, request: Request) -> Told:
    """Return the answer, or the same at length, as often as the lessons are to have that (`Draw.at_length`)."""
    return at_length(told, draw, request) if draw.at_length and draw.rng.random() < draw.at_length else told


def at_length(told: Told, draw: Draw, request: Request) -> Told:
    """Write sentences around an answer that change nothing in how it behaves."""
    rng = draw.rng
    texts = _Sentences(told, draw)
    if told.behaviour not in _HELPS:
        return _written(told, [told.text], texts.drawn("offer", rng.randint(1, 2)), request, rng)
    front = texts.drawn("opening", 1) if rng.random() < _OPENING_SHARE else []
    if rng.random() < _LATE_SHARE:
        front += texts.drawn(rng.choice(("idle", "about")), rng.randint(1, 2))
    if rng.random() < _LIST_SHARE:
        steps = texts.drawn("step", rng.randint(3, 5))
        back = [*texts.drawn("list", 1), *(f"\n\n{number}. {step}" for number, step in enumerate(steps, start=1))]
    else:
        back = [*texts.drawn("about", rng.randint(0, 2)), *texts.drawn("idle", rng.randint(1, 4))]
        rng.shuffle(back)
    return _written(told, [*front, told.text], back, request, rng)


class _Sentences:
    """Sentences of each sort for one answer, none twice; an answer about something else names no act."""

    def __init__(self, told: Told, draw: Draw) -> None:
        self._told, self._draw = told, draw

    def drawn(self, sort: str, count: int) -> list[str]:
        sort = "idle" if sort == "about" and self._told.behaviour == "offtopic" else sort
        frames = of_split(sentences_of("at_length", sort), self._draw.split)
        if self._told.behaviour == "offtopic":
            frames = [frame for frame in frames if not frame.places]
        chosen = self._draw.rng.sample(frames, min(count, len(frames)))
        return [frame.fill(act=self._told.deed.say("text")) for frame in chosen]


def _written(told: Told, front: list[str], back: list[str], request: Request, rng: random.Random) -> Told:
    """Join the sentences; what stands behind the answer itself may be cut anywhere."""
    text = _joined(front, rng)
    whole = _joined([text, *back], rng)
    if rng.random() < _CUT_SHARE:
        words = whole[len(text) :].split(" ")
        room = max(0, rng.randint(*_LONGEST) - len(text.split()))
        whole = text + " ".join(words[: room + 1])
    parts = (*told.parts, *("length" for _ in range(len(front) - 1 + len(back))))
    return replace(told, parts=parts, text=spelled(whole.strip(), request))


def _joined(texts: list[str], rng: random.Random) -> str:
    joined = texts[0]
    for text in texts[1:]:
        between = "" if text.startswith("\n") else "\n\n" if rng.random() < _BREAK_SHARE else " "
        joined += between + text
    return joined
