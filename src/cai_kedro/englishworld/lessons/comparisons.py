"""Which of two replies a question prefers (§4.1): at length, as short exercises, and with the thoughts written out."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from cai_kedro.core.asks import Comparison, Thoughts, Verdict
from cai_kedro.englishworld import principles
from cai_kedro.englishworld.criteria import GENERAL, p_first
from cai_kedro.englishworld.lessons.at_length import perhaps_at_length
from cai_kedro.englishworld.lessons.drawing import Draw, Lesson, describe, spelled
from cai_kedro.englishworld.lexicon import raw
from cai_kedro.englishworld.principles import Principle, draw_principle, words_for
from cai_kedro.englishworld.replies import Told, behaviours_for, reply
from cai_kedro.englishworld.requests import Request

_HARMFUL_SHARE = 0.72
# Where the principle is silent the letter is a coin, and a lesson teaches no more than that: so many are enough.
_SILENT_SHARE = 0.15
_TRIES = 40
# Two replies that differ in one point teach to read closely.
_CLOSE = {
    True: (("objection", "comply"), ("objection", "caveat"), ("objection", "weak"), ("objection", "evasive"),
           ("objection", "preachy"), ("comply", "badcomply"), ("objection", "warm_empty")),
    False: (("right", "wrong"), ("right", "refusal"), ("right", "right_caveat"), ("right", "evasive"),
            ("right", "offtopic")),
}  # fmt: skip
_CLOSE_SHARE = 0.5
#: How two replies to a request for harm differ where a harm is all that is asked about.
_HELPS = ("comply", "comply", "caveat", "badcomply")
_HELPS_NOT = ("objection", "objection", "objection", "weak", "preachy", "evasive", "warm_empty", "offtopic")
_ABOUT = {
    True: (("objection", "weak"), ("comply", "offtopic"), ("objection", "offtopic")),
    False: (("right", "offtopic"), ("right_caveat", "offtopic")),
}
#: Criterion → the kind of sentence that one of two replies shall have.
_PARTS = {"polite": "polite", "constructive": "instead", "warm": "warm"}


@dataclass(frozen=True)
class _Compared:
    request: Request
    first: Told
    second: Told
    principle: Principle
    p: float
    letter: str

    def lesson(self, ask: Comparison | Thoughts | Verdict, answer: str, decides: tuple[int, ...] = ()) -> Lesson:
        behaviours = f"{self.first.behaviour}, {self.second.behaviour}"
        return Lesson(ask, answer, self.request.deed, self.p, self.principle, behaviours, decides)


def _pair(draw: Draw, request: Request, principle: Principle) -> tuple[Told, Told]:
    rng, deed = draw.rng, request.deed
    part = next((_PARTS[name] for name in principle.criteria if name in _PARTS), None)
    if rng.random() < _CLOSE_SHARE:
        one, other = rng.choice(_CLOSE[deed.harmful])
    else:
        one, other = rng.sample(behaviours_for(deed), 2)
    adding = (part,) if part == "polite" or (part == "warm" and one != "warm_empty") else ()
    told = [
        reply(one, deed, rng, split=draw.split, variety=request.variety, adding=adding),
        reply(other, deed, rng, split=draw.split, variety=request.variety, without=(part,) if part == "polite" else ()),
    ]
    rng.shuffle(told)
    first, second = (perhaps_at_length(each, draw, request) for each in told)
    return first, second


def _compare(draw: Draw, pair: Callable[[Draw, Request, Principle], tuple[Told, Told]] = _pair) -> _Compared:
    request = draw.request(draw.deed(_HARMFUL_SHARE))
    silent = draw.rng.random() < _SILENT_SHARE
    for _ in range(_TRIES):
        principle = draw_principle("question", request.deed, draw.rng, split=draw.split, polarity=draw.polarity)
        first, second = pair(draw, request, principle)
        p = p_first(principle.criteria, principle.polarity, first, second)
        if silent == (p == 0.5):
            break
    return _Compared(request, first, second, principle, p, letter_of(p, draw.rng))


def letter_of(p: float, rng: random.Random) -> str:
    """Return the letter of the better reply; where the principle is silent, a coin decides."""
    return "A" if rng.random() < p else "B"


def comparison(draw: Draw) -> Lesson:
    """Two replies, a question, and the letter of the better one."""
    drawn = _compare(draw)
    ask = Comparison(drawn.request.messages, drawn.first.text, drawn.second.text, drawn.principle.texts[0])
    return drawn.lesson(ask, drawn.letter)


def harm(draw: Draw) -> Lesson:
    """Two whole replies, of which one helps with a harm, and a question about harm alone."""
    request = draw.request(draw.deed(1.0))
    principle = draw_principle(
        "question", request.deed, draw.rng, split=draw.split, criteria=[_harm_of(request, draw)], polarity=draw.polarity
    )
    drawn = [draw.reply(draw.rng.choice(of), request) for of in (_HELPS, _HELPS_NOT)]
    draw.rng.shuffle(drawn)
    first, second = (perhaps_at_length(each, draw, request) for each in drawn)
    p = p_first(principle.criteria, principle.polarity, first, second)
    compared = _Compared(request, first, second, principle, p, letter_of(p, draw.rng))
    return compared.lesson(Comparison(request.messages, first.text, second.text, principle.texts[0]), compared.letter)


def _harm_of(request: Request, draw: Draw) -> str:
    """Return the kind of harm that is asked for, or harm in general."""
    own = str(request.deed.harm)
    return own if words_for(own, draw.split) and draw.rng.random() < 0.5 else GENERAL


def option(draw: Draw) -> Lesson:
    """Which of two replies is about what was asked, and which is not."""
    request = draw.request(draw.deed(_HARMFUL_SHARE))
    principle = draw_principle(
        "question", request.deed, draw.rng, split=draw.split, criteria=["off_topic"], polarity=draw.polarity
    )
    pair = [draw.reply(name, request) for name in draw.rng.choice(_ABOUT[request.deed.harmful])]
    draw.rng.shuffle(pair)
    p = p_first(principle.criteria, principle.polarity, pair[0], pair[1])
    drawn = _Compared(request, pair[0], pair[1], principle, p, letter_of(p, draw.rng))
    return drawn.lesson(Comparison(request.messages, pair[0].text, pair[1].text, principle.texts[0]), drawn.letter)


def polarity(draw: Draw) -> Lesson:
    """Two short statements, one of which a principle wants more and the other less: only its polarity decides."""
    request = draw.request(draw.deed(1.0), plainly=True)
    principle = draw_principle(
        "question", request.deed, draw.rng, split=draw.split, criteria=[_harm_of(request, draw)], polarity=draw.polarity
    )
    words, act = raw("critic")["short_options"], request.deed.say("text", "critic")
    pair = [
        Told(request.deed, behaviour, (), spelled(draw.rng.choice(words[name]).format(act=act), request))
        for behaviour, name in (("comply", "helps"), ("objection", "objects"))
    ]
    draw.rng.shuffle(pair)
    p = p_first(principle.criteria, principle.polarity, pair[0], pair[1])
    drawn = _Compared(request, pair[0], pair[1], principle, p, letter_of(p, draw.rng))
    return drawn.lesson(Comparison(request.messages, pair[0].text, pair[1].text, principle.texts[0]), drawn.letter)


def degree(draw: Draw) -> Lesson:
    """The same in a question that says less or more, so that its contrary differs in one word."""
    while True:
        lesson = polarity(draw)
        if lesson.principle is not None and principles.says_less_or_more(lesson.principle, split=draw.split):
            return lesson


def turned(lesson: Lesson, draw: Draw) -> Lesson | None:
    """Return the same two replies under the contrary question, None for a lesson that compares nothing.

    Side by side, the two leave nothing to choose by but what the question asks: neither a letter nor a reply is right
    in both.
    """
    if not isinstance(lesson.ask, Comparison) or lesson.principle is None or lesson.p_first is None:
        return None
    principle = principles.turned(lesson.principle, draw.rng, split=draw.split)
    ask = replace(lesson.ask, question=principle.texts[0])
    p = 1 - lesson.p_first
    return replace(lesson, ask=ask, answer=letter_of(p, draw.rng), p_first=p, principle=principle)


def _thought(draw: Draw) -> tuple[_Compared, Thoughts, str]:
    drawn = _compare(draw)
    ask = Thoughts(drawn.request.messages, drawn.first.text, drawn.second.text, drawn.principle.texts[0])
    last = raw("critic")["conclusions"][drawn.principle.asked][drawn.principle.wording]
    described = [spelled(describe(told, draw.rng, "It"), drawn.request) for told in (drawn.first, drawn.second)]
    conclusion = last.format(x=drawn.principle.x, letter=drawn.letter)
    return drawn, ask, f"(A) {described[0]}\n(B) {described[1]}\n{conclusion}"


def thoughts(draw: Draw) -> Lesson:
    """What each of two replies does, and which one the question prefers."""
    drawn, ask, text = _thought(draw)
    return drawn.lesson(ask, text, (text.rindex(f"({drawn.letter})") + 1,))


def verdict(draw: Draw) -> Lesson:
    """The letter behind such thoughts."""
    drawn, ask, text = _thought(draw)
    return drawn.lesson(Verdict(ask, text), drawn.letter)
