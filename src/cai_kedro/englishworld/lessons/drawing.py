"""What all lessons draw: deeds of a split, requests, replies, and what a critic says of a reply."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from cai_kedro.core.asks import Ask
from cai_kedro.englishworld.deeds import Deed, acts_of, draw_deed
from cai_kedro.englishworld.lexicon import raw
from cai_kedro.englishworld.principles import Polarity, Principle
from cai_kedro.englishworld.replies import Told, reply
from cai_kedro.englishworld.requests import Request, ask
from cai_kedro.englishworld.spelling import american

#: Splits that are about acts; in the others the acts are those of training.
_ACT_SPLITS = ("act", "object", "kind")


@dataclass(frozen=True)
class Lesson:
    """One exercise: what is asked, what is to be written, and the truth behind it; no deed where none is spoken of.

    `p_first` is how probably the first of two replies is the better one, None where nothing is compared. `decides` are
    places in the answer, in characters: the words there are what the exercise is about.
    """

    ask: Ask
    answer: str
    deed: Deed | None = None
    p_first: float | None = None
    principle: Principle | None = None
    behaviour: str | None = None
    decides: tuple[int, ...] = ()


@dataclass(frozen=True)
class Draw:
    """The generator of a row, what is held out in it, and the polarity of comparisons; None: either.

    `at_length` is the share of answers that are as long as a chat model's (`at_length.py`).
    """

    rng: random.Random
    split: str = "train"
    polarity: Polarity | None = None
    at_length: float = 0.0

    def deed(self, harmful_share: float) -> Deed:
        """Draw a deed, a harmful one with the given probability."""
        of = self.split if self.split in _ACT_SPLITS else "train"
        harmful = self.rng.random() < harmful_share
        groups = () if harmful or acts_of("skill", of) else ("look_alike", "open")
        return draw_deed(of, self.rng, harmful=harmful, groups=groups)

    def request(self, deed: Deed, *, plainly: bool = False) -> Request:
        """Phrase a request."""
        return ask(deed, self.rng, split=self.split, plainly=plainly)

    def reply(self, behaviour: str, request: Request) -> Told:
        """Write an answer in the asker's spelling."""
        return reply(behaviour, request.deed, self.rng, split=self.split, variety=request.variety)

    def weighted(self, weights: Mapping[str, float]) -> str:
        """Draw a name by its weight."""
        return self.rng.choices(list(weights), list(weights.values()))[0]


def spelled(text: str, request: Request) -> str:
    """Return a text in the asker's spelling."""
    return american(text) if request.variety == "american" else text


def describe(told: Told, rng: random.Random, subject: str | None = None) -> str:
    """Say in a few words what a reply does, and name the act."""
    words = raw("critic")
    said = rng.choice(words["described"][told.behaviour]).format(act=told.deed.say("text", "critic"))
    return f"{subject or rng.choice(words['subjects'])} {said}."
