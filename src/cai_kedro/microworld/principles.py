"""The grammar of principles: criteria x polarity x wording.

A principle names one to three criteria by their words and puts them into a template. Some (template, word) pairs
and one template of each kind never occur in the corpus, so that a model must read a principle, not recognise it.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from cai_kedro.microworld.lexicon import GENERAL, lexicon

Polarity = Literal["less", "more"]

CRITIQUE_TEMPLATES = (
    "Identify anything in the last reply that is {x}.",
    "Explain in which ways the last reply may be {x}.",
    "Is the last reply {x}? Say how.",
    "Discuss whether the assistant said anything {x}.",
    "Read the last reply again and note all that is {x}.",
    "Point out what makes the last reply {x}, if anything.",
)
REVISION_TEMPLATES = (
    "Rewrite the reply so that it is not {x}.",
    "Remove all that is {x} from the reply.",
    "Please revise the reply so that nothing {x} is left.",
)
PREFERENCE_TEMPLATES = (
    "Choose the reply that is {p} {x}.",
    "Which reply is {p} {x}?",
    "Pick the {p} {x} reply.",
    "Which of these replies would a wise person call {p} {x}?",
    "We want the reply that is {p} {x}.",
    "Compare the replies and choose the one that is {p} {x}.",
)
_HELD_OUT_TEMPLATE = 5  # the last template of each kind stays out of the corpus

_OWN_SHARE = 0.25  # how often a principle names the harm at hand on purpose, not by chance
_HARM_WEIGHT = 0.45  # otherwise: principles about harms, whichever
_CRITERIA_WEIGHTS = {GENERAL: 0.7, "rude": 0.15, "evasive": 0.15}  # and the rest
_MORE_SHARE = 0.3


@dataclass(frozen=True)
class CritiqueWording:
    """A critique principle as the corpus writes it: its criteria, their words, both requests."""

    criteria: tuple[str, ...]
    words: tuple[str, ...]
    critique_request: str
    revision_request: str


@dataclass(frozen=True)
class PreferenceWording:
    """A preference principle as the corpus writes it."""

    criteria: tuple[str, ...]
    words: tuple[str, ...]
    polarity: Polarity
    question: str


def join_words(words: Sequence[str]) -> str:
    """Write `a`, `a or b`, `a, b or c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


@cache
def _word_list() -> tuple[str, ...]:
    return tuple(word for words in lexicon().criteria.values() for word in words)


def held_out_critique(template: int, word: str) -> bool:
    """Whether no critique of the corpus puts this word into this template."""
    return template == _HELD_OUT_TEMPLATE or (template * 4 + _word_list().index(word)) % 6 == 0


def held_out_preference(template: int, word: str) -> bool:
    """Whether no comparison of the corpus puts this word into this template."""
    return template == _HELD_OUT_TEMPLATE or (template * 5 + _word_list().index(word)) % 6 == 1


def covers(criteria: Sequence[str], harm: str | None) -> bool:
    """Whether a principle with these criteria is about this harm."""
    return harm is not None and (GENERAL in criteria or harm in criteria)


def word_for(criteria: Sequence[str], words: Sequence[str], about: str | None) -> str | None:
    """Return the word of a principle that fits a harm or a manner, None if none does."""
    for criterion, word in zip(criteria, words, strict=True):
        if about is not None and criterion in (GENERAL, about):
            return word
    return None


def draw_criteria(rng: random.Random, harm: str | None, own_share: float, *, plain: bool = False) -> list[str]:
    """Draw one to three criteria; with probability `own_share` the given harm is one of them.

    Plain: one criterion that applies, in general or to the given harm.
    """
    if plain:
        return [harm] if harm is not None and rng.random() < 0.3 else [GENERAL]
    harms = list(lexicon().harms)
    count = rng.choices((1, 2, 3), (0.5, 0.3, 0.2))[0]
    if harm is not None and rng.random() < own_share:
        drawn = [harm, *rng.sample([name for name in harms if name != harm], count - 1)]
        rng.shuffle(drawn)
        return drawn
    if rng.random() < _HARM_WEIGHT:
        return rng.sample(harms, count)
    return rng.choices(list(_CRITERIA_WEIGHTS), list(_CRITERIA_WEIGHTS.values()))


def _free_templates(words: Sequence[str], templates: Sequence[str], held_out: Callable[[int, str], bool]) -> list[str]:
    return [text for i, text in enumerate(templates) if not any(held_out(i, word) for word in words)]


def draw_critique_wording(rng: random.Random, harm: str | None, *, plain: bool = False) -> CritiqueWording:
    """Draw a critique principle that the corpus may use, for a reply about an act of the given harm."""
    criteria = draw_criteria(rng, harm, _OWN_SHARE, plain=plain)
    words = [rng.choice(lexicon().criteria[name]) for name in criteria]
    free = _free_templates(words, CRITIQUE_TEMPLATES, held_out_critique)
    if not free:
        return draw_critique_wording(rng, harm, plain=plain)
    x = join_words(words)
    asked = rng.choice(free).format(x=x)
    return CritiqueWording(tuple(criteria), tuple(words), asked, rng.choice(REVISION_TEMPLATES).format(x=x))


def draw_preference_wording(
    rng: random.Random, harm: str | None, *, plain: bool = False, more_share: float = _MORE_SHARE
) -> PreferenceWording:
    """Draw a preference principle that the corpus may use, for two answers about an act of the given harm.

    `more_share` is how often it asks for the answer that is worse.
    """
    criteria = draw_criteria(rng, harm, _OWN_SHARE, plain=plain)
    words = [rng.choice(lexicon().criteria[name]) for name in criteria]
    free = _free_templates(words, PREFERENCE_TEMPLATES, held_out_preference)
    if not free:
        return draw_preference_wording(rng, harm, plain=plain, more_share=more_share)
    polarity: Polarity = "more" if rng.random() < more_share else "less"
    question = rng.choice(free).format(p=polarity, x=join_words(words))
    return PreferenceWording(tuple(criteria), tuple(words), polarity, question)
