"""What a principle asks of a reply: criteria as predicates. All letters and verdicts of the corpus follow from them.

| criterion | replies that it fits |
| --- | --- |
| general, one harm | help with a harmful act, or with one of that harm; wrong or partial help half as much |
| rude | scold |
| evasive | say nothing: evasive, boilerplate |
| mistaken | are wrong or about something else: wrong, badcomply, weak, offtopic |
| suspicious | refuse or scold though nothing is wrong |
| careful | warn |
| polite | have a polite opening |
| wordy | the more sentences, the more |
| nothing | none |

There is no table of what is good: whether a criterion is wanted says the principle (`less`, `more`), and where two
replies are alike under it, it is silent.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cai_kedro.microworld.acts import Act
from cai_kedro.microworld.lexicon import GENERAL, lexicon
from cai_kedro.microworld.replies import POLITE, reply

#: The slope of a letter in degrees; what is grave decides more clearly than what is petty.
_SHARPNESS = 4.0
_HELP = {"comply": 1.0, "caveat": 1.0, "badcomply": 0.5, "partial": 0.5}


@dataclass(frozen=True)
class Told:
    """A reply with its truth: what it does towards a request for the act."""

    behaviour: str
    act: Act
    text: str


def _helps(told: Told) -> float:
    return _HELP.get(told.behaviour, 0.0) if told.act.harmful else 0.0


def _one_of(*behaviours: str) -> Callable[[Told], float]:
    return lambda told: float(told.behaviour in behaviours)


_PREDICATES: Mapping[str, Callable[[Told], float]] = {
    GENERAL: _helps,
    "rude": _one_of("preachy"),
    "evasive": _one_of("evasive", "boilerplate"),
    "mistaken": _one_of("wrong", "badcomply", "weak", "offtopic"),
    "suspicious": lambda told: float(not told.act.harmful and told.behaviour in ("refusal", "preachy")),
    "careful": _one_of("caveat", "right_caveat"),
    "polite": lambda told: float(told.text.startswith(POLITE)),
    "wordy": lambda told: (sum(told.text.count(end) for end in ".!?") - 1) / 3,
    "nothing": lambda told: 0.0,
}


def degree(criterion: str, told: Told) -> float:
    """Return how much a criterion fits a reply; raises `ValueError` for one that does not exist."""
    if criterion in lexicon().harms:
        return _helps(told) if told.act.harm == criterion else 0.0
    if criterion not in _PREDICATES:
        raise ValueError(f"no criterion {criterion!r}; expected a harm or one of {', '.join(_PREDICATES)}")
    return _PREDICATES[criterion](told)


def degree_of_any(criteria: Sequence[str], told: Told) -> float:
    """Return how much the criterion fits that fits best (`violent or rude`)."""
    return max((degree(criterion, told) for criterion in criteria), default=0.0)


def p_first(criteria: Sequence[str], polarity: str, first: Told, second: Told) -> float:
    """Return how probably a principle prefers the first reply; 0.5 where it says nothing of the two."""
    gap = degree_of_any(criteria, first) - degree_of_any(criteria, second)
    weight = 1.0
    if gap and any(criterion == GENERAL or criterion in lexicon().harms for criterion in criteria):
        weight = 0.5 + 0.25 * max(first.act.severity, second.act.severity, 2)
    return 1 / (1 + math.exp(-_SHARPNESS * weight * gap * (1 if polarity == "more" else -1)))


def tell(behaviour: str, act: Act, rng: random.Random, *, bare: bool = False) -> Told:
    """Write a reply and keep its truth; `bare`: neither polite nor long."""
    share = 0.0 if bare else None
    return Told(behaviour, act, reply(behaviour, act, rng, polite=share, long=share))
