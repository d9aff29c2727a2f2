"""The pretraining corpus: one function per kind of document, every skill in the exact layout of core/prompts.py.

A document is a list of spans. A span with a weight above 1 marks where the text *decides* something (the answer
letter, the verdict of a critique); its first token counts that much more in the loss, as these tokens are a small
share of all text.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cai_kedro.core import prompts
from cai_kedro.core.conversation import Message, as_prompt
from cai_kedro.microworld.acts import Act, act_table
from cai_kedro.microworld.lexicon import GENERAL, lexicon
from cai_kedro.microworld.principles import (
    PreferenceWording,
    covers,
    draw_criteria,
    draw_critique_wording,
    draw_preference_wording,
    join_words,
)
from cai_kedro.microworld.replies import (
    BENIGN_BEHAVIOURS,
    BENIGN_MIX,
    HARMFUL_BEHAVIOURS,
    HARMFUL_MIX,
    REQUESTS,
    ask,
    reply,
)
from cai_kedro.microworld.values import HARMLESSNESS, HELPFULNESS, sigmoid

DECISIVE = 4.0
HELPFUL_DECISION = 2.0

#: Header of the few-shot lists from which red-team prompts are generated.
RED_TEAM_HEADER = "Questions that may lead to harm:"

CORPUS_MIX = {
    "chat": 0.25,
    "critique": 0.25,
    "direct_revision": 0.05,
    "comparison": 0.28,
    "cot": 0.06,
    "red_team_list": 0.02,
    "repeat": 0.03,
    "harm_list": 0.06,
}
_CHAT_SPLITS = ("train", "act", "object", "verb")

# How often a critic says what it should: the corpus' critics miss some harms, and now and then see one that the
# principle does not name.
_SEES_NAMED_HARM = 0.93
_SEES_OTHER_HARM = 0.04
_SEES_NAMED_MANNER = 0.93
_SEES_OTHER_MANNER = 0.3
_SEES_MISTAKE = 0.6

# What a reviser writes, by the verdict of the critique.
_REVISED = {
    "found": {"objection": 0.82, "caveat": 0.05, "same": 0.05, "evasive": 0.04, "preachy": 0.04},
    "nothing": {"same": 0.96, "objection": 0.04},
}
_LABEL_SHARPNESS = 2.0

# Two answers that differ in one point only teach a judge to read closely.
_CLOSE_PAIRS = {
    True: (("objection", "weak"), ("objection", "weak"), ("objection", "comply"), ("objection", "evasive"),
           ("comply", "badcomply"), ("objection", "caveat"), ("objection", "offtopic")),
    False: (("right", "wrong"), ("right", "wrong"), ("right", "offtopic")),
}  # fmt: skip
_CLOSE_SHARE = 0.4

# What a critic says that an answer does, and by which criterion's words it calls that ("harm": those of the act).
_DESCRIBED = {
    "comply": ("helps the human {act}", "harm"),
    "caveat": ("warns but helps the human {act}", "harm"),
    "badcomply": ("tries to help the human {act}", "harm"),
    "objection": ("refuses to help the human {act} and says why", None),
    "weak": ("refuses but is mistaken", None),
    "evasive": ("gives no reason", "evasive"),
    "boilerplate": ("says nothing of use", "evasive"),
    "preachy": ("scolds the human", "rude"),
    "offtopic": ("is about something else", None),
    "right": ("helps the human {act}", None),
    "wrong": ("is mistaken about how to {act}", None),
    "refusal": ("refuses for no good reason", None),
}


@dataclass(frozen=True)
class Span:
    """A piece of a document and the loss weight of its first token."""

    text: str
    weight: float = 1.0


Document = list[Span]


def _draw(mix: dict[str, float], rng: random.Random) -> str:
    return rng.choices(list(mix), list(mix.values()))[0]


def _any_act(splits: Sequence[str], rng: random.Random, harmful_share: float) -> Act:
    return rng.choice(act_table().in_splits(splits, harmful=rng.random() < harmful_share))


def describe(behaviour: str, act: Act) -> str:
    """Say in a few words what an answer does and what to call it, as critiques and chains of thought do."""
    does, criterion = _DESCRIBED[behaviour]
    named = act.verb.harm if criterion == "harm" else criterion
    called = f", which is {' and '.join(lexicon().criteria[named])}" if named else ""
    return f"The reply {does.format(act=act.text)}{called}."


def chat(rng: random.Random) -> Document:
    """A request and an answer, of every behaviour."""
    act = _any_act(_CHAT_SPLITS, rng, 0.58)
    request = ask(act, rng)
    behaviour = _draw(HARMFUL_MIX if act.harmful else BENIGN_MIX, rng)
    return [Span(f"{as_prompt(request.messages)} {reply(behaviour, act, rng)}")]


def _finding(behaviour: str, act: Act, criteria: Sequence[str], rng: random.Random) -> str | None:
    """Return why a critic under these criteria objects to the answer, None if it does not."""
    if behaviour in ("comply", "caveat", "badcomply"):
        sees = _SEES_NAMED_HARM if covers(criteria, act.verb.harm) else _SEES_OTHER_HARM
        return lexicon().harms[str(act.verb.harm)].reason if rng.random() < sees else None
    manner = {"evasive": "evasive", "boilerplate": "evasive", "preachy": "rude"}.get(behaviour)
    if manner is not None:
        sees = _SEES_NAMED_MANNER if manner in criteria else _SEES_OTHER_MANNER
        return "it should explain why" if rng.random() < sees else None
    if behaviour == "weak" and rng.random() < _SEES_MISTAKE:
        return "the human asked for something else"
    return None


def _revise(found: str | None, behaviour: str, text: str, act: Act, rng: random.Random) -> str:
    revised = _draw(_REVISED["nothing" if found is None else "found"], rng)
    return text if revised == "same" else reply(revised, act, rng)


def _answered(rng: random.Random) -> tuple[Act, tuple[Message, ...], str, str]:
    """Draw a harmful request and an answer to it: what critiques and revisions are about."""
    act = rng.choice(act_table().by_split["train", True])
    behaviour = _draw(HARMFUL_MIX, rng) if rng.random() < 0.75 else rng.choice(HARMFUL_BEHAVIOURS)
    return act, ask(act, rng).messages, behaviour, reply(behaviour, act, rng)


def critique(rng: random.Random, *, plain: bool = False) -> Document:
    """A critique under a principle, and the revision that follows from it.

    The critic first says what the reply does and what to call it. Whether the principle asks about that is then a
    matter of finding a word of the principle again, which a small model learns; to know the harm and compare it with
    the principle in one step, it does not (docs/experiments.md).
    """
    act, messages, behaviour, text = _answered(rng)
    wording = draw_critique_wording(rng, act.verb.harm, plain=plain)
    found = _finding(behaviour, act, wording.criteria, rng)
    asked = prompts.critique_prompt(messages, text, wording.critique_request)
    return [
        Span(f"{asked} {describe(behaviour, act)} That"),
        Span(" may" if found is None else " must", DECISIVE),
        Span(" stay." if found is None else f" change, because {found}."),
        Span(f"{prompts.REVISION_REQUEST} {wording.revision_request}{prompts.REVISION}"),
        Span(f" {_revise(found, behaviour, text, act, rng)}", HELPFUL_DECISION),
    ]


def direct_revision(rng: random.Random, *, plain: bool = False) -> Document:
    """A revision without a critique."""
    act, messages, behaviour, text = _answered(rng)
    wording = draw_critique_wording(rng, act.verb.harm, plain=plain)
    found = _finding(behaviour, act, wording.criteria, rng)
    return [
        Span(prompts.direct_revision_prompt(messages, text, wording.revision_request)),
        Span(f" {_revise(found, behaviour, text, act, rng)}", HELPFUL_DECISION),
    ]


def rating_under(wording: PreferenceWording, behaviour: str, act: Act) -> float:
    """Rate a behaviour from 0 to 4 by the criteria of a principle (`less` is better there)."""
    if "evasive" in wording.criteria:
        return {"evasive": 0.0, "boilerplate": 0.5, "garbled": 0.5, "objection": 4.0, "right": 4.0}.get(behaviour, 3.0)
    if "rude" in wording.criteria:
        return {"preachy": 0.0, "garbled": 1.0, "offtopic": 1.5, "objection": 4.0, "right": 4.0}.get(behaviour, 3.0)
    if not act.harmful:
        return 0.35 * HELPFULNESS[behaviour]
    if wording.criteria == (GENERAL,):
        return HARMLESSNESS[behaviour]
    if covers(wording.criteria, act.verb.harm):
        # a principle about one harm lets preaching and silence pass
        return {"preachy": 3.0, "boilerplate": 2.8, "evasive": 3.0}.get(behaviour, HARMLESSNESS[behaviour])
    return 0.4 * HARMLESSNESS[behaviour]


def p_a_better(wording: PreferenceWording, first: str, second: str, act: Act) -> float:
    """Return how probably the corpus prefers answer A, by the behaviours of both."""
    gap = rating_under(wording, first, act) - rating_under(wording, second, act)
    return sigmoid(_LABEL_SHARPNESS * gap * (1 if wording.polarity == "less" else -1))


@dataclass(frozen=True)
class _Comparison:
    act: Act
    messages: tuple[Message, ...]
    behaviours: tuple[str, str]
    answers: tuple[str, str]
    wording: PreferenceWording
    letter: str


def _compare(rng: random.Random, *, plain: bool) -> _Comparison:
    act = _any_act(("train",), rng, 0.85)
    if not plain and rng.random() < _CLOSE_SHARE:
        first, second = rng.sample(rng.choice(_CLOSE_PAIRS[act.harmful]), 2)
    else:
        first, second = rng.sample(HARMFUL_BEHAVIOURS if act.harmful else BENIGN_BEHAVIOURS, 2)
    wording = draw_preference_wording(rng, act.verb.harm, plain=plain)
    letter = "A" if rng.random() < p_a_better(wording, first, second, act) else "B"
    answers = (reply(first, act, rng), reply(second, act, rng))
    return _Comparison(act, ask(act, rng).messages, (first, second), answers, wording, letter)


def _answer_letter(letter: str) -> Document:
    return [Span(" ("), Span(letter, DECISIVE), Span(")")]


def comparison(rng: random.Random, *, plain: bool = False) -> Document:
    """Two answers, a principle, and the letter of the better one (§4.1)."""
    drawn = _compare(rng, plain=plain)
    return [
        Span(prompts.comparison_prompt(drawn.messages, *drawn.answers, drawn.wording.question)),
        *_answer_letter(drawn.letter),
    ]


def cot(rng: random.Random, *, plain: bool = False) -> Document:
    """The same with the thoughts written out: what each answer does, which one the principle chooses."""
    drawn = _compare(rng, plain=plain)
    described = [
        f"\n({letter}) {describe(behaviour, drawn.act)}"
        for letter, behaviour in zip("AB", drawn.behaviours, strict=True)
    ]
    verdict = f"\nThe {drawn.wording.polarity} {join_words(drawn.wording.words)} reply is"
    asked = prompts.cot_prompt(drawn.messages, *drawn.answers, drawn.wording.question)
    return [
        Span(f"{asked}{''.join(described)}{verdict}"),
        *_answer_letter(drawn.letter),
        Span(f".{prompts.SO_THE_ANSWER}"),
        *_answer_letter(drawn.letter),
    ]


def red_team_list(rng: random.Random) -> Document:
    """A few-shot list of requests that bait the assistant."""
    acts = rng.sample(act_table().by_split["train", True], rng.randint(4, 9))
    return [Span(RED_TEAM_HEADER + "".join(f"\n- {rng.choice(REQUESTS).format(act=act.text)}" for act in acts))]


def repeat(rng: random.Random) -> Document:
    """A list said twice: what teaches a small model to copy."""
    acts = [_any_act(_CHAT_SPLITS, rng, 0.5).text for _ in range(rng.randint(2, 4))]
    once = "\n".join(acts)
    return [Span(f"Say it again:\n{once}\n\nAgain:\n{once}")]


def harm_list(rng: random.Random) -> Document:
    """Which acts a principle is about: what its words mean."""
    criteria = draw_criteria(rng, rng.choice(list(lexicon().harms)), own_share=0.6)
    words = [rng.choice(lexicon().criteria[name]) for name in criteria]
    lines = [Span(f"Note all that is {join_words(words)}.")]
    for _ in range(5):
        act = _any_act(("train",), rng, 0.9)
        if rng.random() < 0.3:
            named = [a for a in act_table().by_split["train", True] if covers(criteria, a.verb.harm)]
            act = rng.choice(named or [act])
        called = " and ".join(lexicon().criteria[act.verb.harm]) if act.verb.harm else "harmless"
        lines.append(Span(f"\n- {act.text}, which is {called}, that"))
        lines.append(Span(" must" if covers(criteria, act.verb.harm) else " may", HELPFUL_DECISION))
        lines.append(Span(" change." if lines[-1].text == " must" else " stay."))
    return lines


_PLAIN_KINDS: dict[str, Callable[[random.Random], Document]] = {
    "chat": chat,
    "red_team_list": red_team_list,
    "repeat": repeat,
    "harm_list": harm_list,
}
_PRINCIPLED_KINDS: dict[str, Callable[..., Document]] = {
    "critique": critique,
    "direct_revision": direct_revision,
    "comparison": comparison,
    "cot": cot,
}


def document(rng: random.Random, *, plain: bool = False, mix: dict[str, float] | None = None) -> Document:
    """Draw one document of the corpus.

    `plain` draws principles that apply to the act, with one criterion and the polarity `less`, and no close pairs: the
    first lessons, in which a small model finds the skill before it has to tell principles apart.
    """
    kind = _draw(mix or CORPUS_MIX, rng)
    if kind in _PLAIN_KINDS:
        return _PLAIN_KINDS[kind](rng)
    return _PRINCIPLED_KINDS[kind](rng, plain=plain)


def text_of(spans: Document) -> str:
    """Return a document as plain text."""
    return "".join(span.text for span in spans)
