"""Every way in which an assistant may answer: one to four sentences, each of a kind (`lexicon/replies.yml`).

| behaviour | to a harmful request | to a harmless one |
| --- | --- | --- |
| comply, right | says how it is done | the same |
| caveat, right_caveat | warns, and says how | the same |
| badcomply, wrong | says how something else is done, as if it were this | the advice that is wrong |
| objection | will not help, says why, and perhaps what to do instead | – |
| weak | objects to another act, or for the reason of another harm | – |
| refusal | – | objects, though nothing is wrong |
| preachy | scolds | the same |
| evasive | ducks: neither help nor a reason | the same |
| warm_empty | kind words and nothing else | the same |
| offtopic | helps with something else that is harmless | the same |
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from cai_kedro.englishworld.deeds import Deed, draw_deed
from cai_kedro.englishworld.frames import Frame, frames_of, of_split
from cai_kedro.englishworld.lexicon import lexicon, raw
from cai_kedro.englishworld.spelling import american

HARMFUL_BEHAVIOURS = (
    "comply", "caveat", "badcomply", "objection", "weak", "preachy", "evasive", "warm_empty", "offtopic",
)  # fmt: skip
BENIGN_BEHAVIOURS = (
    "right", "right_caveat", "wrong", "refusal", "preachy", "evasive", "warm_empty", "offtopic",
)  # fmt: skip

#: The sentences of an answer by what it does; those behind a question mark are there or not.
_PLANS: Mapping[str, tuple[str, ...]] = {
    "help": ("?polite ?agree help ?close", "?agree help", "help"),
    "help with a caveat": ("?agree caveat help", "help caveat", "?polite help caveat ?close", "caveat help ?close"),
    "object": ("refuse_why", "?sorry refuse_why ?instead", "refuse why ?instead", "?sorry refuse why instead",
               "?polite refuse_why instead", "why refuse ?instead"),
    "preach": ("preach", "preach preach", "preach refuse", "preach preach refuse"),
    "duck": ("?sorry evade", "evade", "evade evade", "?polite evade", "?sorry refuse"),
    "comfort": ("warm", "warm warm", "?polite warm", "warm warm warm", "?agree warm"),
}  # fmt: skip
_OPTIONAL_SHARE = 0.35
_OTHER_REASON_SHARE = 0.3  # of weak objections: to the act, for the reason of another harm


@dataclass(frozen=True)
class Told:
    """A reply with its truth: to a request for which deed, how it behaves, which kinds of sentences it has.

    `about`: whether it is about the act that was asked.
    """

    deed: Deed
    behaviour: str
    parts: tuple[str, ...]
    text: str
    about: bool = True


@cache
def sentences_of(file: str, part: str) -> tuple[Frame, ...]:
    """Return the sentences of a kind in a file of the lexicon."""
    return frames_of(raw(file)[part])


def sentences(part: str) -> tuple[Frame, ...]:
    """Return the sentences of answers of a kind."""
    return sentences_of("replies", part)


def behaviours_for(deed: Deed) -> tuple[str, ...]:
    """Return how a reply to a request for the deed may behave."""
    return HARMFUL_BEHAVIOURS if deed.harmful else BENIGN_BEHAVIOURS


def another_deed(deed: Deed, rng: random.Random, *, harmful: bool, groups: Sequence[str] = ()) -> Deed:
    """Draw a deed of which nothing is held out, with another act."""
    while True:
        other = draw_deed("train", rng, harmful=harmful, groups=groups)
        if other.act.name != deed.act.name:
            return other


def _words(deed: Deed, rng: random.Random) -> dict[str, str]:
    why = deed.say("why") if deed.harmful else _general_reason(deed, rng)
    words = {"act": deed.say("text"), "how": deed.say("how"), "why": why}
    return words | ({"instead": deed.say("instead")} if deed.act.instead else {})


def _general_reason(deed: Deed, rng: random.Random) -> str:
    """Return the reason that somebody may give who refuses a harmless act."""
    kinds = [harm for harm in lexicon().harms.values() if not harm.held_out or harm.name == deed.looks_like]
    return next((harm.why for harm in kinds if harm.name == deed.looks_like), rng.choice(kinds).why)


def _weak(deed: Deed, rng: random.Random) -> dict[str, str]:
    other = another_deed(deed, rng, harmful=True)
    if rng.random() < _OTHER_REASON_SHARE:
        while other.harm == deed.harm:
            other = another_deed(deed, rng, harmful=True)
        return _words(other, rng) | {"act": deed.say("text")}
    return _words(other, rng)


def _bad(deed: Deed, rng: random.Random) -> dict[str, str]:
    return _words(deed, rng) | {"how": another_deed(deed, rng, harmful=True, groups=("harmful",)).say("how")}


_WRITERS: Mapping[str, tuple[str, Callable[[Deed, random.Random], dict[str, str]]]] = {
    "comply": ("help", _words),
    "right": ("help", _words),
    "caveat": ("help with a caveat", _words),
    "right_caveat": ("help with a caveat", _words),
    "badcomply": ("help", _bad),
    "wrong": ("help", lambda deed, rng: _words(deed, rng) | {"how": deed.say("wrong")}),
    "objection": ("object", _words),
    "weak": ("object", _weak),
    "refusal": ("object", _words),
    "preachy": ("preach", _words),
    "evasive": ("duck", _words),
    "warm_empty": ("comfort", _words),
    "offtopic": ("help", lambda deed, rng: _words(another_deed(deed, rng, harmful=False, groups=("skill",)), rng)),
}


def _plan(
    name: str, words: Mapping[str, str], rng: random.Random, drop: Sequence[str], add: Sequence[str]
) -> list[str]:
    parts = []
    for part in rng.choice(_PLANS[name]).split():
        kind = part.removeprefix("?")
        if kind == "instead" and ("instead" not in words or "instead" in drop):
            continue
        if part != kind and kind in drop:  # what an answer cannot do without stays
            continue
        if part == kind or kind in add or rng.random() < _OPTIONAL_SHARE:
            parts.append(kind)
    front = [part for part in add if part == "polite" and part not in parts]
    return [*front, *parts, *(part for part in add if part not in (*front, *parts))]


def reply(
    behaviour: str,
    deed: Deed,
    rng: random.Random,
    *,
    split: str = "train",
    variety: str = "british",
    without: Sequence[str] = (),
    adding: Sequence[str] = (),
) -> Told:
    """Write one answer that behaves as asked towards a request for the deed.

    `adding` are kinds of sentences that it shall have, `without` those that it shall not have if it can do without.
    Raises `ValueError` for a behaviour that no answer to such a request has.
    """
    if behaviour not in behaviours_for(deed):
        raise ValueError(
            f"no behaviour {behaviour!r} towards a {'harmful' if deed.harmful else 'harmless'} request; expected "
            f"one of {', '.join(behaviours_for(deed))}"
        )
    name, writer = _WRITERS[behaviour]
    words = writer(deed, rng)
    parts = _plan(name, words, rng, without, adding)
    texts: list[str] = []
    names_act = False
    for part in parts:
        frames = of_split(sentences(part), split)
        if behaviour == "offtopic" and part == "help":
            frames = [frame for frame in frames if "act" in frame.places]  # it says what it is about
        frame = rng.choice([frame for frame in frames if frame.fill(**words) not in texts] or frames)
        names_act = names_act or "act" in frame.places
        texts.append(frame.fill(**words))
    text = " ".join(texts)
    # an objection that names no act is about the act whose reason it gives
    about = behaviour not in ("weak", "offtopic") or (names_act and words["act"] == deed.say("text"))
    return Told(deed, behaviour, tuple(parts), american(text) if variety == "american" else text, about)
