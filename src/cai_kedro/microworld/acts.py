"""Acts (verb x object, and whose it is or who agreed), and which of them are held out.

| split | held out |
| --- | --- |
| train | nothing |
| combination | of every document: the verb and the object are known, and never stand together |
| object, verb | of every skill: it stands in chats, lists of words and the glossary of verbs alone |

No critique, revision, comparison or list of acts holds such an object or verb, in what is asked or in a reply, and
no prompt to train on does, its first turn included.

An act that looks harmful and harms nobody is a look-alike: done to a scrap (burn the log), to a thing of one's own
(burn my own diary), or to somebody who agreed (film my cousin with consent).
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from cai_kedro.microworld.lexicon import Noun, Verb, lexicon

SPLITS = ("train", "combination", "object", "verb")
Context = Literal["own", "consent"]
_MOST_SEVERE = 4


@dataclass(frozen=True)
class Act:
    """A verb done to an object, e.g. `steal the bike`; `context` says that it is one's own, or that they agreed."""

    verb: Verb
    noun: Noun
    split: str
    context: Context | None = None

    @property
    def text(self) -> str:
        """The act as requests and replies write it."""
        phrase = f"my own {self.noun.text}" if self.context == "own" else self.noun.phrase
        return f"{self.verb.text} {phrase}{' with consent' if self.context == 'consent' else ''}"

    @property
    def harm(self) -> str | None:
        """The harm that it does, None if it does none."""
        return None if self.context is not None or self.noun.kind == "scrap" else self.verb.harm

    @property
    def harmful(self) -> bool:
        """Whether doing it harms somebody."""
        return self.harm is not None

    @property
    def looks_harmful(self) -> bool:
        """Whether it harms nobody though its verb is one of a harm."""
        return not self.harmful and self.verb.harm is not None

    @property
    def severity(self) -> int:
        """How grave it is, from 1 to 4 by its verb and its object, 0 if it harms nobody."""
        return min(_MOST_SEVERE, max(1, self.verb.severity + self.noun.weight)) if self.harmful else 0


def _split(verb_index: int, verb: Verb, noun: Noun) -> str:
    if noun.held_out:
        return "object"
    if verb.held_out:
        return "verb"
    # a fixed Latin-square-like pattern: every verb and every object keeps about seven eighths of its acts
    return "combination" if (verb_index * 7 + noun.index * 5 + (verb_index * noun.index) % 11) % 8 == 0 else "train"


def _possible(verb: Verb, noun: Noun) -> list[Context | None]:
    """Return in which contexts an act is known: not at all, where people do not speak of it."""
    if noun.kind == "scrap":
        fits = verb.kind == "thing" and (verb.harm is None or lexicon().harms[verb.harm].scraps)
        return [None] if fits else []
    if noun.kind != verb.kind:
        return []
    contexts: list[Context | None] = [None]
    contexts += ["own"] if verb.own else []
    contexts += ["consent"] if verb.consent else []
    return contexts


@dataclass(frozen=True)
class ActTable:
    """All acts, and the groups that documents and prompts draw from; look-alikes are in no group of benign acts."""

    acts: tuple[Act, ...]
    by_words: dict[tuple[str, str, Context | None], Act]
    by_split: dict[tuple[str, bool], tuple[Act, ...]]
    look_alikes: dict[str, tuple[Act, ...]]
    known_benign_by_noun: dict[str, tuple[Act, ...]]

    def get(self, verb: Verb, noun: Noun) -> Act | None:
        """Return the act of a verb and an object without context, None if people do not speak of it."""
        return self.by_words.get((verb.text, noun.text, None))

    def in_splits(self, splits: Sequence[str], *, harmful: bool) -> list[Act]:
        """Return the harmful or plainly benign acts of some splits."""
        return [act for split in splits for act in self.by_split.get((split, harmful), ())]


@cache
def act_table() -> ActTable:
    """Build the table of all acts."""
    words = lexicon()
    acts = tuple(
        Act(verb, noun, _split(i, verb, noun), context)
        for i, verb in enumerate(words.verbs)
        for noun in words.nouns
        for context in _possible(verb, noun)
    )
    by_split: dict[tuple[str, bool], list[Act]] = {}
    look_alikes: dict[str, list[Act]] = {}
    benign: dict[str, list[Act]] = {}
    for act in acts:
        group = look_alikes.setdefault(act.split, []) if act.looks_harmful else by_split.setdefault(
            (act.split, act.harmful), []
        )  # fmt: skip
        group.append(act)
        if act.verb.harm is None and act.split in ("train", "object"):
            benign.setdefault(act.noun.text, []).append(act)
    return ActTable(
        acts,
        {(act.verb.text, act.noun.text, act.context): act for act in acts},
        {key: tuple(group) for key, group in by_split.items()},
        {key: tuple(group) for key, group in look_alikes.items()},
        {key: tuple(group) for key, group in benign.items()},
    )


def draw_act(splits: Sequence[str], rng: random.Random, harmful_share: float, look_alike_share: float = 0.0) -> Act:
    """Draw an act of some splits: a harmful one, one that only looks so, or a plainly benign one."""
    drawn = rng.random()
    if harmful_share <= drawn < harmful_share + look_alike_share:
        return rng.choice([act for split in splits for act in act_table().look_alikes.get(split, ())])
    return rng.choice(act_table().in_splits(splits, harmful=drawn < harmful_share))
