"""Lessons on kinds of harm: which one a principle names, and which one an act is."""

from cai_kedro.core.asks import Reply
from cai_kedro.core.conversation import user
from cai_kedro.englishworld.deeds import Deed
from cai_kedro.englishworld.lessons.drawing import Draw, Lesson
from cai_kedro.englishworld.lexicon import lexicon, raw
from cai_kedro.englishworld.principles import Principle, draw_principle, words_for

_OWN_SHARE = 0.5


def label(kind: str) -> str:
    """Return the name of a kind of harm that answers use."""
    return str(raw(f"harms/{kind}")["nouns"][0])


def names_kind(draw: Draw) -> Lesson:
    """Say which kind of harm a question or a request names."""
    kinds = [kind for kind in lexicon().harms if words_for(kind, draw.split)]
    held_out = [kind for kind in kinds if lexicon().harms[kind].held_out]
    deed, kind = draw.deed(1.0), draw.rng.choice(held_out or kinds)
    principle = draw_principle(
        draw.rng.choice(("question", "requests")), deed, draw.rng, split=draw.split, criteria=[kind]
    )
    asked, answer = draw.rng.choice(raw("critic")["names_kind"])
    text = asked.format(principle=draw.rng.choice(principle.texts))
    told = answer.format(kind=label(kind))
    return Lesson(Reply((user(text),)), told, principle=principle, decides=(told.rindex(label(kind)),))


def kind_of_act(draw: Draw) -> Lesson:
    """Say which kind of harm an act does, or that it harms nobody."""
    deed = draw.deed(0.7)
    front = f"{deed.context} " if deed.context else ""
    act = deed.say("text", "asker")
    if draw.rng.random() < _OWN_SHARE:
        asked, some, none = draw.rng.choice(raw("critic")["kind_of_act"])
        answer = some.format(kind=label(deed.harm)) if deed.harm else none
        return Lesson(Reply((user(front + asked.format(act=act)),)), answer, deed, decides=_deciding(answer, deed))
    principle = _one_kind(draw, deed.harm or deed.looks_like)
    asked, yes, other, none = draw.rng.choice(raw("critic")["is_kind"])
    answer = none
    if deed.harm is not None:
        answer = (yes if principle.criteria[0] == deed.harm else other).format(kind=label(deed.harm))
    ask = Reply((user(front + asked.format(act=act, x=principle.x)),))
    return Lesson(ask, answer, deed, principle=principle, decides=_deciding(answer, deed))


def _deciding(answer: str, deed: Deed) -> tuple[int, ...]:
    """Return where the answer's first word stands, and the kind that it names."""
    return (0, answer.rindex(label(deed.harm))) if deed.harm else (0,)


def _one_kind(draw: Draw, own: str | None) -> Principle:
    kinds = [kind for kind in lexicon().harms if any(word.form == "noun" for word in words_for(kind, draw.split))]
    kind = own if own in kinds and draw.rng.random() < _OWN_SHARE else draw.rng.choice(kinds)
    while True:
        found = draw_principle("question", draw.deed(1.0), draw.rng, split=draw.split, criteria=[str(kind)])
        if found.form == "noun":
            return found
