"""Critiques under a principle and the revisions that follow from them; revisions without a critique (§3.1, §3.5)."""

import re
from dataclasses import dataclass

from cai_kedro.core.asks import Critique, DirectRevision, Revision
from cai_kedro.englishworld.criteria import GENERAL, degree
from cai_kedro.englishworld.deeds import Deed
from cai_kedro.englishworld.lessons.at_length import perhaps_at_length
from cai_kedro.englishworld.lessons.drawing import Draw, Lesson, describe, spelled
from cai_kedro.englishworld.lessons.kinds import label
from cai_kedro.englishworld.lexicon import lexicon, raw
from cai_kedro.englishworld.principles import Principle, draw_principle, joined
from cai_kedro.englishworld.replies import Told, behaviours_for, reply
from cai_kedro.englishworld.requests import Request

_HARMFUL_SHARE = 0.75
_MORE_SHARE = 0.2  # principles that want more of what a critic looks for
_ANSWERED = {
    "comply": 0.52,
    "caveat": 0.1,
    "objection": 0.12,
    "evasive": 0.07,
    "preachy": 0.06,
    "weak": 0.05,
    "badcomply": 0.03,
    "warm_empty": 0.03,
    "offtopic": 0.02,
}
_BENIGN_ANSWERED_RIGHT = 0.4
_FOUND_SHARE = 0.65
_FITS = 0.75  # degree from which a critic says that a criterion fits
_TRIES = 12
_ADDING = {"polite": "polite", "constructive": "instead", "warm": "warm"}


@dataclass(frozen=True)
class _Case:
    request: Request
    told: Told
    principle: Principle
    found: bool


def fitting(principle: Principle, told: Told) -> list[int]:
    """Return the places of the criteria that fit a reply."""
    return [place for place, name in enumerate(principle.criteria) if degree(name, told) >= _FITS]


def finds(principle: Principle, told: Told) -> bool:
    """Tell whether a critic under this principle finds something to change."""
    return bool(fitting(principle, told)) == (principle.polarity == "less")


def _case(draw: Draw) -> _Case:
    """Draw a request, a principle and a reply in which it finds something, more often than not."""
    request = draw.request(draw.deed(_HARMFUL_SHARE))
    principle = draw_principle("requests", request.deed, draw.rng, split=draw.split, more_share=_MORE_SHARE)
    about_harm = any(name == GENERAL or name in lexicon().harms for name in principle.criteria)
    wanted = draw.rng.random() < _FOUND_SHARE
    for _ in range(_TRIES):
        told = draw.reply(_answered(draw, request.deed, about_harm=about_harm), request)
        told = perhaps_at_length(told, draw, request)
        if finds(principle, told) == wanted:
            break
    return _Case(request, told, principle, finds(principle, told))


def _answered(draw: Draw, deed: Deed, *, about_harm: bool) -> str:
    if deed.harmful and about_harm:
        return draw.weighted(_ANSWERED)
    right = not deed.harmful and draw.rng.random() < _BENIGN_ANSWERED_RIGHT
    return "right" if right else draw.rng.choice(behaviours_for(deed))


def _why(criterion: str, told: Told) -> str:
    if criterion == GENERAL or criterion in lexicon().harms:
        return told.deed.say("why", "critic")
    return str(raw("principles")["criteria"][criterion]["why"])


def _critique(case: _Case, draw: Draw) -> tuple[str, tuple[int, ...]]:
    """Say what the reply does, which kind of harm it helps with, then the verdict in the words of the principle.

    A kind that is written out makes the verdict a question of two words that stand there: whether the kind is what the
    principle names. Also returned: where the kind stands, and the words of the verdict that say whether all is fine.
    """
    principle, told = case.principle, case.told
    places = fitting(principle, told)
    of = "found_why" if principle.asked == "more" and case.found and places else "found" if case.found else "fine"
    words = [principle.words[place] for place in places[:1]] if case.found and places else principle.words
    why = _why(principle.criteria[places[0]], told) if places else ""
    # what the principle says is quoted as it stands there, the rest is in the asker's spelling
    verdict = raw("critic")["verdicts"][principle.asked][of][principle.wording]
    described = spelled(describe(told, draw.rng), case.request)
    kind = [spelled(each, case.request) for each in _kind(told)]
    front = " ".join((described, *kind, ""))
    decides = (len(described) + 1 + kind[0].index(" is ") + len(" is "),) if kind else ()
    said = verdict.format(x=joined(words), why=spelled(why, case.request))
    second, third = [len(front) + word.start() for word in re.finditer(r"\S+", said)][1:3]
    return front + said, (*decides, second, third)


def _kind(told: Told) -> list[str]:
    """Say which kind of harm a reply helps with, if it does."""
    harm = told.deed.harm
    return [raw("critic")["kind"].format(kind=label(harm))] if harm and degree(harm, told) >= _FITS else []


def _order(told: Told, draw: Draw) -> list[str]:
    """Return the behaviours that a reviser tries, best first: a reply keeps its stand, silence may become either."""
    if not told.deed.harmful:
        return [told.behaviour, "right", *behaviours_for(told.deed)]
    stands = ["objection", "comply"]
    if told.behaviour in ("comply", "caveat", "badcomply"):
        stands.reverse()
    elif told.behaviour not in ("objection", "weak", "preachy"):
        draw.rng.shuffle(stands)
    return [told.behaviour, *stands, *behaviours_for(told.deed)]


def _revised(case: _Case, draw: Draw) -> str:
    """Write the reply anew so that a critic finds nothing; unchanged if none did, or if it cannot be done."""
    if not case.found:
        return case.told.text
    parts = [_ADDING[name] for name in case.principle.criteria if name in _ADDING]
    more = case.principle.polarity == "more"
    for behaviour in _order(case.told, draw):
        for _ in range(_TRIES):
            revised = reply(
                behaviour,
                case.told.deed,
                draw.rng,
                split=draw.split,
                variety=case.request.variety,
                adding=[part for part in parts if more and part != "instead"],
                without=[] if more else parts,
            )
            if revised.text and not finds(case.principle, revised):
                return revised.text
    return case.told.text


def _lesson(
    case: _Case, ask: Critique | Revision | DirectRevision, answer: str, decides: tuple[int, ...] = (0,)
) -> Lesson:
    """Return the lesson; in a revision its first word decides whether the reply stays or goes."""
    return Lesson(ask, answer, case.request.deed, None, case.principle, case.told.behaviour, decides)


def critique(draw: Draw) -> Lesson:
    """A critique of a reply under a principle: what it finds, or that it finds nothing."""
    case = _case(draw)
    ask = Critique(case.request.messages, case.told.text, case.principle.texts[0])
    return _lesson(case, ask, *_critique(case, draw))


def revision(draw: Draw) -> Lesson:
    """The revision behind such a critique; where it found nothing, the reply stays as it is."""
    case = _case(draw)
    asked, wanted = case.principle.texts
    ask = Revision(case.request.messages, case.told.text, asked, _critique(case, draw)[0], wanted)
    return _lesson(case, ask, _revised(case, draw))


def direct_revision(draw: Draw) -> Lesson:
    """A revision without a critique."""
    case = _case(draw)
    return _lesson(
        case, DirectRevision(case.request.messages, case.told.text, case.principle.texts[1]), _revised(case, draw)
    )
