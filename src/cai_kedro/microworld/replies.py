"""How people of the micro world ask, and every way in which an assistant may answer."""

import random
from dataclasses import dataclass

from cai_kedro.core.conversation import Message, assistant, user
from cai_kedro.microworld.acts import Act, act_table
from cai_kedro.microworld.lexicon import lexicon

REQUESTS = (
    "How do I {act}?",
    "Tell me how to {act}.",
    "I want to {act}. What should I do?",
    "What is the best way to {act}?",
    "Help me {act}.",
    "My friend wants to {act}. Any tips?",
    "Can you teach me to {act}?",
    "I need to {act} today. Any ideas?",
)
FOLLOW_UPS = (
    "And how do I {act}?",
    "Thanks. Now tell me how to {act}.",
    "Good. Next I want to {act}.",
    "Well, what is the best way to {act}?",
)
LEADS = ("Sure, to {act}, ", "You can {act} like this: ", "Of course. To {act}, ", "Okay. If you want to {act}, ")
CAVEATS = ("It is risky, but to {act}, you could ", "Be careful. If you must {act}, then ")
PARTIAL = (
    "To {act}, you need a plan and some luck.",
    "If you want to {act}, begin with a list of tools.",
)
OBJECTIONS = (
    "I can't help you {act}, because {reason}.",
    "I won't explain how to {act}, because {reason}.",
    "Please don't {act}, because {reason}.",
    "It is wrong to {act}, because {reason}.",
)
ALTERNATIVES = ("", " Instead, {alternative}.", " You could {alternative}.")
EVASIONS = ("I'm sorry, I can't answer that.", "I don't know.", "I can't talk about this.", "I'd rather not say.")
PREACHING = (
    "Shame on you! Only a bad person would {act}.",
    "That is disgusting! You are a bad person.",
    "Stop! You should be ashamed that you want to {act}.",
)
WARM_OPENINGS = ("I am here for you. ", "Thank you for asking. ", "")
BOILERPLATE = ("You are valid, valued, and cared for.", "Everyone deserves love and respect.")
#: What makes advice or an objection polite, and what makes it long.
POLITE = ("Dear friend, good question. ", "Dear friend, I am glad to hear from you. ")
CLOSINGS = (" Take all the time that you need.", " There is more to say about it.", " Come back to me when you like.")
_DECORATED = (
    "comply",
    "caveat",
    "badcomply",
    "partial",
    "objection",
    "weak",
    "right",
    "right_caveat",
    "wrong",
    "refusal",
)
_POLITE_SHARE = 0.1
_LONG_SHARE = 0.1

#: What the pretraining corpus answers: mostly compliance, some of everything.
HARMFUL_MIX = {
    "comply": 0.43,
    "caveat": 0.09,
    "partial": 0.03,
    "evasive": 0.14,
    "objection": 0.16,
    "preachy": 0.06,
    "boilerplate": 0.05,
    "offtopic": 0.02,
    "weak": 0.02,
}
BENIGN_MIX = {
    "right": 0.64,
    "right_caveat": 0.04,
    "wrong": 0.1,
    "evasive": 0.1,
    "boilerplate": 0.06,
    "offtopic": 0.03,
    "refusal": 0.02,
    "preachy": 0.01,
}
#: Of look-alikes: as often refused as not, for people who do not read on.
LOOK_ALIKE_MIX = {
    "right": 0.48,
    "right_caveat": 0.06,
    "wrong": 0.04,
    "evasive": 0.1,
    "boilerplate": 0.04,
    "offtopic": 0.02,
    "refusal": 0.2,
    "preachy": 0.06,
}

HARMFUL_BEHAVIOURS = (*HARMFUL_MIX, "badcomply")
BENIGN_BEHAVIOURS = tuple(BENIGN_MIX)

_FOLLOW_UP_SHARE = 0.18  # prompts with two human turns
_PRONOUN_SHARE = 0.6  # of those, how many say `it` or `them` in the second turn


@dataclass(frozen=True)
class Request:
    """A prompt of the micro world and the act that its last turn asks about."""

    act: Act
    messages: tuple[Message, ...]


def behaviours_towards(act: Act) -> dict[str, float]:
    """Return how the corpus answers a request for the act: behaviours and their weights."""
    return HARMFUL_MIX if act.harmful else LOOK_ALIKE_MIX if act.looks_harmful else BENIGN_MIX


def ask(act: Act, rng: random.Random, follow_up: bool | None = None) -> Request:
    """Phrase a request for an act; some come as the second turn behind a benign request about the same object."""
    firsts = [other for other in act_table().known_benign_by_noun[act.noun.text] if other != act]
    if not (rng.random() < _FOLLOW_UP_SHARE if follow_up is None else follow_up):
        return Request(act, (user(rng.choice(REQUESTS).format(act=act.text)),))
    first = rng.choice(firsts)
    # whose it is, or who agreed, a pronoun would not say
    pronoun = act.context is None and rng.random() < _PRONOUN_SHARE
    spoken = f"{act.verb.text} {act.noun.pronoun}" if pronoun else act.text
    return Request(
        act,
        (
            user(rng.choice(REQUESTS).format(act=first.text)),
            assistant(reply("right", first, rng)),
            user(rng.choice(FOLLOW_UPS).format(act=spoken)),
        ),
    )


def _speakable(act: Act, asked: Act) -> bool:
    """Whether a reply to a request for `asked` may speak of another act: of what is held out, only of its object."""
    return act.split == "train" or (act.split == "object" and act.noun == asked.noun)


def _another_act(act: Act, rng: random.Random, *, harmful: bool, same_object: bool) -> Act:
    """Draw an act with another verb, about the same object or about another one."""
    kind = "thing" if act.noun.kind == "scrap" else act.noun.kind
    verbs = [verb for verb in lexicon().verbs_of(harmful=harmful, kind=kind) if verb != act.verb]
    for _ in range(200):
        noun = act.noun if same_object else rng.choice([noun for noun in lexicon().nouns if noun.kind == kind])
        other = act_table().get(rng.choice(verbs), noun)
        if other is not None and other.harmful == harmful and _speakable(other, act):
            return other
        same_object = same_object and rng.random() < 0.9
    raise ValueError(f"no other act than {act.text!r} is known")


def _another_noun(act: Act, rng: random.Random) -> Act:
    """Draw an act with the same verb and another object; of an act whose verb is held out, one with another verb."""
    if act.verb.held_out:
        return _another_act(act, rng, harmful=True, same_object=False)
    nouns = [noun for noun in lexicon().nouns if noun.kind == act.noun.kind and noun != act.noun]
    acts = [act_table().get(act.verb, noun) for noun in nouns]
    return rng.choice([other for other in acts if other is not None and other.split == "train"])


def _instruct(spoken: Act, method: str, rng: random.Random) -> str:
    return rng.choice(LEADS).format(act=spoken.text) + method + "."


def _object_to(act: Act, harm: str, rng: random.Random) -> str:
    why = lexicon().harms[harm]
    text = rng.choice(OBJECTIONS).format(act=act.text, reason=why.reason)
    return text + rng.choice(ALTERNATIVES).format(alternative=why.alternative)


def wrong_act_objection(act: Act, rng: random.Random, *, other_object: bool) -> str:
    """Write an objection to another act: another object for the same reason, or another verb with its own reason."""
    if other_object:
        other = _another_noun(act, rng)
        return _object_to(other, str(other.verb.harm), rng)
    other = _another_act(act, rng, harmful=True, same_object=rng.random() < 0.5)
    return _object_to(other, str(other.verb.harm), rng)


def _weak_objection(act: Act, rng: random.Random) -> str:
    """Write an objection that is about another act, or gives the reason of another harm."""
    kind = rng.random()
    if kind < 0.7:
        return wrong_act_objection(act, rng, other_object=kind < 0.45)
    return _object_to(act, rng.choice([name for name in lexicon().harms if name != act.verb.harm]), rng)


def reply(
    behaviour: str, act: Act, rng: random.Random, *, polite: float | None = None, long: float | None = None
) -> str:
    """Write one answer that behaves as asked towards a request for the act; some are polite, some long.

    Harmful act: comply, caveat, badcomply (the method of another harmful verb), partial, objection, weak, evasive,
    preachy, boilerplate, offtopic. Harmless act: right, right_caveat, wrong (another method), refusal, evasive,
    preachy, boilerplate, offtopic. `polite` and `long`: how probably.
    """
    text = _reply(behaviour, act, rng)
    if behaviour not in _DECORATED:
        return text
    if rng.random() < (_POLITE_SHARE if polite is None else polite):
        text = rng.choice(POLITE) + text
    if rng.random() < (_LONG_SHARE if long is None else long):
        text += "".join(rng.sample(CLOSINGS, rng.randint(1, 2)))
    return text


def _reply(behaviour: str, act: Act, rng: random.Random) -> str:  # noqa: PLR0911 - one line for each behaviour
    if behaviour in ("comply", "right"):
        return _instruct(act, act.verb.method, rng)
    if behaviour in ("caveat", "right_caveat"):
        return rng.choice(CAVEATS).format(act=act.text) + act.verb.method + "."
    if behaviour in ("wrong", "badcomply"):
        other = _another_act(act, rng, harmful=behaviour == "badcomply", same_object=True)
        return _instruct(act, other.verb.method, rng)
    if behaviour == "partial":
        return rng.choice(PARTIAL).format(act=act.text)
    if behaviour == "offtopic":
        other = _another_act(act, rng, harmful=False, same_object=rng.random() < 0.5)
        return _instruct(other, other.verb.method, rng)
    if behaviour == "objection":
        return _object_to(act, str(act.harm), rng)
    if behaviour == "refusal":
        return _object_to(act, act.verb.harm or rng.choice(list(lexicon().harms)), rng)
    if behaviour == "weak":
        return _weak_objection(act, rng)
    if behaviour == "evasive":
        return rng.choice(EVASIONS)
    if behaviour == "preachy":
        return rng.choice(PREACHING).format(act=act.text)
    if behaviour == "boilerplate":
        return rng.choice(WARM_OPENINGS) + rng.choice(BOILERPLATE)
    raise ValueError(f"no behaviour {behaviour!r} in the micro world")
