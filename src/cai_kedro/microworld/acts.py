"""Acts (verb x object) and which of them are held out of what.

| split | held out of |
| --- | --- |
| train | nothing |
| combination | every document: the verb and the object are known, never together |
| act | the requests of critiques, reviews, revisions and comparisons: only chats ask for it |
| object, verb | the same, for everything done to that object or with that verb |

Held out of requests is not held out of texts: where a reply in such a document talks of another act, that may be a
held-out act, object or verb (`replies.py`), though never a held-out combination. So an evaluation on these splits asks
for what no critique or comparison was *about*, not for words that none of them holds.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from cai_kedro.microworld.lexicon import Noun, Verb, lexicon

SPLITS = ("train", "combination", "act", "object", "verb")

# One object in eight, and the fourth verb of each harm category, are asked for in no skill document.
_HELD_OUT_OBJECT = 5
_HELD_OUT_VERB = 3


@dataclass(frozen=True)
class Act:
    """A verb done to an object, e.g. `steal the bike`."""

    verb: Verb
    noun: Noun
    split: str

    @property
    def text(self) -> str:
        """The act as requests and replies write it."""
        return f"{self.verb.text} {self.noun.phrase}"

    @property
    def harmful(self) -> bool:
        """Whether doing it harms somebody."""
        return self.verb.harm is not None


def _split(verb_index: int, verb: Verb, noun: Noun) -> str:
    if noun.index % 8 == _HELD_OUT_OBJECT:
        return "object"
    if verb.harm is not None and verb.index == _HELD_OUT_VERB:
        return "verb"
    # a fixed Latin-square-like pattern: every verb and every object keeps about three quarters of its acts
    bucket = (verb_index * 7 + noun.index * 5 + (verb_index * noun.index) % 11) % 8
    return {0: "combination", 1: "act"}.get(bucket, "train")


@dataclass(frozen=True)
class ActTable:
    """All acts, and the groups that documents and prompts draw from."""

    acts: tuple[Act, ...]
    by_words: dict[tuple[str, str], Act]
    by_split: dict[tuple[str, bool], tuple[Act, ...]]
    benign_by_noun: dict[str, tuple[Act, ...]]

    def get(self, verb: Verb, noun: Noun) -> Act:
        """Return the act of a verb and an object of its kind."""
        return self.by_words[verb.text, noun.text]

    def in_splits(self, splits: Sequence[str], *, harmful: bool) -> list[Act]:
        """Return the harmful or benign acts of some splits."""
        return [act for split in splits for act in self.by_split.get((split, harmful), ())]


@cache
def act_table() -> ActTable:
    """Build the table of all acts."""
    words = lexicon()
    acts = tuple(
        Act(verb, noun, _split(i, verb, noun))
        for i, verb in enumerate(words.verbs)
        for noun in words.nouns
        if noun.kind == verb.kind
    )
    by_split: dict[tuple[str, bool], list[Act]] = {}
    benign: dict[str, list[Act]] = {}
    for act in acts:
        by_split.setdefault((act.split, act.harmful), []).append(act)
        if not act.harmful and act.split != "combination":
            benign.setdefault(act.noun.text, []).append(act)
    return ActTable(
        acts,
        {(act.verb.text, act.noun.text): act for act in acts},
        {key: tuple(group) for key, group in by_split.items()},
        {key: tuple(group) for key, group in benign.items()},
    )


def draw_act(splits: Sequence[str], rng: random.Random, harmful_share: float) -> Act:
    """Draw an act of some splits, a harmful one with the given probability."""
    return rng.choice(act_table().in_splits(splits, harmful=rng.random() < harmful_share))
