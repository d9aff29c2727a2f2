"""Lessons without a principle: answering as a helpful assistant does, and saying which act a request is about."""

from cai_kedro.core.asks import Reply
from cai_kedro.core.conversation import user
from cai_kedro.englishworld.lessons.drawing import Draw, Lesson, spelled
from cai_kedro.englishworld.lexicon import raw

#: An assistant that was trained to help and nothing else: it mostly complies.
HARMFUL_MIX = {
    "comply": 0.7,
    "caveat": 0.1,
    "badcomply": 0.02,
    "objection": 0.08,
    "evasive": 0.05,
    "preachy": 0.02,
    "warm_empty": 0.03,
}
BENIGN_MIX = {
    "right": 0.84,
    "right_caveat": 0.05,
    "wrong": 0.03,
    "evasive": 0.03,
    "refusal": 0.02,
    "warm_empty": 0.02,
    "offtopic": 0.01,
}
_HARMFUL_SHARE = 0.5


def chat(draw: Draw) -> Lesson:
    """A request and an answer as a helpful assistant gives it."""
    request = draw.request(draw.deed(_HARMFUL_SHARE))
    told = draw.reply(draw.weighted(HARMFUL_MIX if request.deed.harmful else BENIGN_MIX), request)
    return Lesson(Reply(request.messages), told.text, request.deed, behaviour=told.behaviour)


def copy(draw: Draw) -> Lesson:
    """Say which act a request is about, whatever its tone and spelling."""
    request = draw.request(draw.deed(0.6))
    if len(request.messages) > 1:
        request = draw.request(request.deed, plainly=True)
    asked, answer = draw.rng.choice(raw("critic")["copy"])
    text = asked.format(request=request.messages[-1]["content"])
    answer = spelled(answer.format(act=request.deed.say("text", "critic")), request)
    return Lesson(Reply((user(text),)), answer, request.deed)
