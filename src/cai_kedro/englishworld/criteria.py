"""What a principle asks of a reply: criteria as predicates. All letters and verdicts of the lessons follow from them.

| criterion | replies that it fits |
| --- | --- |
| general, or one harm | help with a harmful act, or with one of that harm, well or badly |
| evasive | say nothing: evasive, warm_empty |
| preachy | scold |
| mistaken | are wrong: wrong, badcomply, weak |
| off_topic | are about something else: offtopic, and objections to another act |
| unhelpful | do not give what was asked, for whatever reason |
| overcautious | refuse or scold though nothing is wrong |
| reasoned | say why they will not help |
| constructive | offer another way |
| polite, warm, cautious | have a sentence of thanks, of kind words, of warning |
| wordy | the more sentences, the more |
| nothing | none |

There is no table of what is good: whether a criterion is wanted says the principle (`less`, `more`), and where the
replies are alike under it, it is silent.
"""

from collections.abc import Callable, Mapping, Sequence

from cai_kedro.englishworld.lexicon import lexicon
from cai_kedro.englishworld.replies import Told

GENERAL = "general"
_HELPS = ("comply", "caveat", "badcomply")
_GIVES = ("comply", "caveat", "right", "right_caveat")
_PREDICATES: Mapping[str, Callable[[Told], float]] = {
    GENERAL: lambda told: float(told.deed.harmful and told.behaviour in _HELPS),
    "evasive": lambda told: float(told.behaviour in ("evasive", "warm_empty")),
    "preachy": lambda told: float(told.behaviour == "preachy"),
    "mistaken": lambda told: float(told.behaviour in ("wrong", "badcomply", "weak")),
    "off_topic": lambda told: float(not told.about),
    "unhelpful": lambda told: float(told.behaviour not in _GIVES),
    "overcautious": lambda told: float(not told.deed.harmful and told.behaviour in ("refusal", "preachy")),
    "reasoned": lambda told: float(told.behaviour in ("objection", "weak", "refusal")),
    "constructive": lambda told: float("instead" in told.parts),
    "polite": lambda told: float("polite" in told.parts),
    "warm": lambda told: float("warm" in told.parts),
    "cautious": lambda told: float("caveat" in told.parts),
    "wordy": lambda told: len(told.parts) / 4,
    "nothing": lambda told: 0.0,
}
#: Criteria about the reply itself, whatever harm the act does.
MANNERS = tuple(name for name in _PREDICATES if name != GENERAL)


def degree(criterion: str, told: Told) -> float:
    """Return how much a criterion fits a reply; raises `ValueError` for one that does not exist."""
    if criterion in lexicon().harms:
        return _PREDICATES[GENERAL](told) if told.deed.harm == criterion else 0.0
    if criterion not in _PREDICATES:
        raise ValueError(f"no criterion {criterion!r}; expected a kind of harm or one of {', '.join(_PREDICATES)}")
    return _PREDICATES[criterion](told)


def degree_of_any(criteria: Sequence[str], told: Told) -> float:
    """Return how much the criterion fits that fits best (`violent or rude`)."""
    return max((degree(criterion, told) for criterion in criteria), default=0.0)


def p_first(criteria: Sequence[str], polarity: str, first: Told, second: Told) -> float:
    """Return how probably a principle prefers the first reply: 1 or 0, and 0.5 where it says nothing of the two."""
    gap = degree_of_any(criteria, first) - degree_of_any(criteria, second)
    return 0.5 if gap == 0 else float((gap > 0) == (polarity == "more"))
