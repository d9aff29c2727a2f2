"""The grammar of principles: criteria x polarity x wording.

A principle names one to three criteria by their words and puts them into a template. Some (template, word) pairs
and one template of each kind never occur in the corpus, so that a model must read a principle, not recognise it.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from cai_kedro.microworld.criteria import Told, degree
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
#: The same turned round: they ask for more of what is named.
TURNED_TEMPLATES = (
    "Rewrite the reply so that it is more {x}.",
    "Add what is more {x} to the reply.",
    "Please revise the reply so that it gets more {x}.",
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

_FITTING_SHARE = 0.5  # how often a principle names on purpose what fits the reply, or tells the two replies apart
_HARM_SHARE = 0.25  # otherwise: principles about some harms, whichever
_PLAIN_HARM_SHARE = 0.2  # the same before the corpus as a whole
_COUNTS = (0.45, 0.35, 0.2)  # of one, two, three criteria
_CRITIQUE_WEIGHTS = {GENERAL: 0.44, "rude": 0.11, "evasive": 0.14, "mistaken": 0.17, "suspicious": 0.1, "nothing": 0.04}
_PREFERENCE_WEIGHTS = {
    GENERAL: 0.36, "rude": 0.1, "evasive": 0.13, "mistaken": 0.15, "suspicious": 0.09, "careful": 0.05, "polite": 0.05,
    "wordy": 0.04, "nothing": 0.03,
}  # fmt: skip
#: Those of lessons before the corpus as a whole.
PLAIN_CRITERIA = (GENERAL, "mistaken", "evasive", "rude", "suspicious")
_MORE_SHARE = 0.4
_TURNED_SHARE = 0.15  # revisions that ask for more


@dataclass(frozen=True)
class CritiqueWording:
    """A critique principle as the corpus writes it: its criteria, their words, both requests.

    Its revision asks for `less` of what is named, or for `more`.
    """

    criteria: tuple[str, ...]
    words: tuple[str, ...]
    polarity: Polarity
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


def word_for(criteria: Sequence[str], words: Sequence[str], told: Told) -> str | None:
    """Return the word of a principle that fits a reply, None if none does."""
    fitting = (word for criterion, word in zip(criteria, words, strict=True) if degree(criterion, told) > 0)
    return next(fitting, None)


def draw_criteria(
    rng: random.Random, weights: Mapping[str, float], fitting: Sequence[str], *, plain: bool = False
) -> list[str]:
    """Draw one to three criteria: some that fit, some harms, or some of all by the weights.

    `fitting` are those that say something of the replies at hand. Plain: one of these alone.
    """
    if plain:
        if rng.random() < _PLAIN_HARM_SHARE:
            return [rng.choice(list(lexicon().harms))]
        simple = [name for name in fitting if name in PLAIN_CRITERIA or name in lexicon().harms]
        return [rng.choice(simple) if simple else GENERAL]
    drawn = rng.random()
    manners = [name for name in weights if name != "nothing"]
    if fitting and drawn < _FITTING_SHARE:
        return among_others(rng.choice(fitting), manners, rng)
    if drawn < _FITTING_SHARE + _HARM_SHARE:
        return among_others(rng.choice(list(lexicon().harms)), manners, rng)
    return among_others(rng.choices(list(weights), list(weights.values()))[0], manners, rng)


def among_others(first: str, manners: Sequence[str], rng: random.Random) -> list[str]:
    """Put a criterion among none, one or two of its kind: a harm among harms, another among the manners."""
    kind = list(lexicon().harms) if first in lexicon().harms else manners
    count = rng.choices((1, 2, 3), _COUNTS)[0]
    drawn = [first, *rng.sample([name for name in kind if name != first], count - 1)]
    rng.shuffle(drawn)
    return drawn


def _harms_and(weights: Mapping[str, float], harm: str | None) -> list[str]:
    return [*weights, *([harm, harm] if harm else [])]  # the harm itself as often as harm in general, and once more


def draw_words(criteria: Sequence[str], rng: random.Random) -> list[str]:
    """Draw a word for each criterion."""
    return [rng.choice(lexicon().criteria[name]) for name in criteria]


def _free_templates(words: Sequence[str], templates: Sequence[str], held_out: Callable[[int, str], bool]) -> list[str]:
    return [text for i, text in enumerate(templates) if not any(held_out(i, word) for word in words)]


def draw_critique_wording(rng: random.Random, told: Told, *, plain: bool = False) -> CritiqueWording:
    """Draw a critique principle that the corpus may use, for a reply."""
    fitting = [name for name in _harms_and(_CRITIQUE_WEIGHTS, told.act.harm) if degree(name, told) > 0]
    criteria = draw_criteria(rng, _CRITIQUE_WEIGHTS, fitting, plain=plain)
    words = draw_words(criteria, rng)
    free = _free_templates(words, CRITIQUE_TEMPLATES, held_out_critique)
    if not free:
        return draw_critique_wording(rng, told, plain=plain)
    x = join_words(words)
    asked = rng.choice(free).format(x=x)
    polarity: Polarity = "more" if not plain and rng.random() < _TURNED_SHARE else "less"
    revision = rng.choice(TURNED_TEMPLATES if polarity == "more" else REVISION_TEMPLATES).format(x=x)
    return CritiqueWording(tuple(criteria), tuple(words), polarity, asked, revision)


def draw_preference_wording(
    rng: random.Random,
    first: Told,
    second: Told,
    *,
    plain: bool = False,
    more_share: float = _MORE_SHARE,
    criteria: Sequence[str] | None = None,
) -> PreferenceWording:
    """Draw a preference principle that the corpus may use, for two answers; with the given criteria, if any.

    `more_share` is how often it asks for more of what its words name.
    """
    telling = [
        name for name in _harms_and(_PREFERENCE_WEIGHTS, first.act.harm) if degree(name, first) != degree(name, second)
    ]
    drawn = draw_criteria(rng, _PREFERENCE_WEIGHTS, telling, plain=plain) if criteria is None else list(criteria)
    words = draw_words(drawn, rng)
    free = _free_templates(words, PREFERENCE_TEMPLATES, held_out_preference)
    if not free:
        return draw_preference_wording(rng, first, second, plain=plain, more_share=more_share, criteria=criteria)
    polarity: Polarity = "more" if rng.random() < more_share else "less"
    question = rng.choice(free).format(p=polarity, x=join_words(words))
    return PreferenceWording(tuple(drawn), tuple(words), polarity, question)
