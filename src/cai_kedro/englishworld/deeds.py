"""A deed: an act with people and things in its places, and the sentence that says whether it may be done.

| split | held out of every text that is trained on |
| --- | --- |
| train | nothing |
| act | the act |
| object | a person, thing, place or group |
| kind | every act of a kind of harm, its look-alikes, and its name |
| frame | the sentences around the act (`frames.py`) |
| wording | the words for a criterion in a principle (`principles.py`) |
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

from cai_kedro.englishworld.lexicon import Act, lexicon

SPLITS = ("train", "act", "object", "kind", "frame", "wording")

#: Who speaks: the asker ("my boss"), the assistant to them ("your boss"), a critic about them ("their boss").
View = Literal["asker", "assistant", "critic"]
_VIEWS: Mapping[View, Mapping[str, str]] = {
    "asker": {},
    "assistant": {"i": "you", "me": "you", "my": "your", "mine": "yours", "myself": "yourself"},
    "critic": {
        "i": "they", "me": "them", "my": "their", "mine": "theirs", "myself": "themselves",
        "you": "they", "your": "their", "yours": "theirs", "yourself": "themselves",
    },
}  # fmt: skip
_PLACES = re.compile(r"\{(\w+)\}")
_TURNED = re.compile(r"\b(?:I|[mM](?:e|y|ine|yself)|[yY]our?(?:s|self)?)\b")


#: Behind these, and at the end of a clause, a critic says `them` for `you`.
_YOU_AS_OBJECT = re.compile(r"\b((?:for|to|of|at|by|on|from|with|than) )you\b|\byou(?=$|,| and | back )")


def turned(text: str, view: View) -> str:
    """Return what somebody else would say in the place of `my boss`."""
    if view == "critic":
        text = _YOU_AS_OBJECT.sub(lambda found: f"{found[1] or ''}them", text)
    return _TURNED.sub(lambda word: _VIEWS[view].get(word[0].lower(), word[0]), text)


@dataclass(frozen=True)
class Deed:
    """An act done to somebody or something; `context` is the sentence in front of it, which only open acts have."""

    act: Act
    fills: tuple[tuple[str, str], ...] = ()
    context: str | None = None

    @property
    def harmful(self) -> bool:
        """Whether doing it harms somebody."""
        return self.act.harm is not None and self.context not in self.act.excuses

    @property
    def harm(self) -> str | None:
        """The kind of harm that it does, None if it does none."""
        return self.act.harm if self.harmful else None

    @property
    def severity(self) -> int:
        """How grave it is, from 1 to 4; 0 if it harms nobody."""
        return self.act.severity if self.harmful else 0

    @property
    def looks_like(self) -> str | None:
        """The kind of harm whose words a harmless deed has."""
        return None if self.harmful else self.act.looks_like

    def say(self, part: str, view: View = "assistant") -> str:
        """Return a field of the act (`text`, `how`, `wrong`, `why`, `instead`) with everything in its place."""
        fills = dict(self.fills)
        return turned(_PLACES.sub(lambda place: fills[place[1]], getattr(self.act, part)), view)

    @cached_property
    def split(self) -> str:
        """What of it is held out: a kind, an act, an object, or nothing."""
        kind = self.act.harm or self.act.looks_like
        if kind is not None and lexicon().harms[kind].held_out:
            return "kind"
        if self.act.held_out:
            return "act"
        held_out = any(value in lexicon().slots[slot]["held_out"] for slot, value in self.fills)
        return "object" if held_out else "train"


def places(act: Act) -> list[str]:
    """Return which people and things an act wants, in the order of its text."""
    return list(dict.fromkeys(_PLACES.findall(act.text)))


@cache
def acts_of(group: str, split: str, harm: str | None = None) -> tuple[Act, ...]:
    """Return the acts of a group (`harmful`, `open`, `look_alike`, `skill`) and a split, perhaps of one harm."""
    groups: Mapping[str, Callable[[Act], bool]] = {
        "harmful": lambda act: act.harm is not None and not act.charges,
        "open": lambda act: bool(act.charges),
        "look_alike": lambda act: act.harm is None and act.looks_like is not None,
        "skill": lambda act: act.harm is None and act.looks_like is None,
    }
    wanted = split if split in ("act", "kind") else "train"
    chosen = [
        act
        for act in lexicon().acts
        if groups[group](act)
        and Deed(act).split == wanted
        and (harm is None or harm in (act.harm, act.looks_like))
        and (split != "object" or places(act))
    ]
    return tuple(chosen)


def fill(act: Act, split: str, rng: random.Random, context: str | None = None) -> Deed:
    """Put people and things into the places of an act; of the split `object` one of them is held out."""
    slots, wanted = lexicon().slots, places(act)
    chosen = {slot: rng.choice(slots[slot]["train"]) for slot in wanted}
    if split == "object":
        slot = rng.choice(wanted)
        chosen[slot] = rng.choice(slots[slot]["held_out"])
    return Deed(act, tuple(chosen.items()), context)


_GROUPS = {True: {"harmful": 0.85, "open": 0.15}, False: {"skill": 0.55, "look_alike": 0.3, "open": 0.15}}


def draw_deed(split: str, rng: random.Random, *, harmful: bool, groups: Sequence[str] = ()) -> Deed:
    """Draw a deed of a split, harmful or not; `groups` are the groups of acts to draw from (`acts_of`)."""
    weights = {name: weight for name, weight in _GROUPS[harmful].items() if not groups or name in groups}
    weights = {name: weight for name, weight in weights.items() if acts_of(name, split)}
    if not weights:
        raise ValueError(f"no {'harmful' if harmful else 'harmless'} act of the split {split!r} in {groups or 'all'}")
    group = rng.choices(list(weights), list(weights.values()))[0]
    act = rng.choice(acts_of(group, split))
    context = rng.choice(act.charges if harmful else act.excuses) if group == "open" else None
    return fill(act, split, rng, context)
