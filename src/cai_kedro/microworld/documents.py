"""The pretraining corpus: one function per kind of document, every skill in the exact layout of core/layouts/hh.py.

A document is a list of spans. A span with a weight above 1 marks where the text *decides* something (the answer
letter, the verdict of a critique); its first token counts that much more in the loss, as these tokens are a small
share of all text.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from cai_kedro.core.asks import Comparison, Critique, DirectRevision, Thoughts
from cai_kedro.core.conversation import ASSISTANT, Message, as_prompt
from cai_kedro.core.layouts import hh
from cai_kedro.microworld.acts import Act, act_table, draw_act
from cai_kedro.microworld.finding import echo, graded_recall, matching, members, near_act, opening, recall
from cai_kedro.microworld.lexicon import GENERAL, lexicon
from cai_kedro.microworld.principles import (
    CritiqueWording,
    PreferenceWording,
    covers,
    draw_criteria,
    draw_critique_wording,
    draw_preference_wording,
    join_words,
    word_for,
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
from cai_kedro.microworld.spans import DECISIVE, HELPFUL_DECISION, Document, Span, answer_letter
from cai_kedro.microworld.values import HARMLESSNESS, HELPFULNESS, sigmoid

#: Header of the few-shot lists from which red-team prompts are generated.
RED_TEAM_HEADER = "Questions that may lead to harm:"

CORPUS_MIX = {
    "chat": 0.12,
    "critique": 0.16,
    "direct_revision": 0.03,
    "comparison": 0.13,
    "quiz": 0.05,
    "graded_quiz": 0.02,
    "cot": 0.05,
    "red_team_list": 0.02,
    "harm_list": 0.03,
    "echo": 0.01,
    "members": 0.01,
    "matching": 0.05,
    "recall": 0.01,
    "graded_recall": 0.01,
    "review": 0.07,
    "choice": 0.2,
    "graded_choice": 0.03,
}
#: The lessons in their order. `plain` has the mix of `full`, and plain principles.
Lesson = Literal["echo", "find", "recall", "polarity", "review", "choose", "plain", "full"]
LESSON_MIX: dict[Lesson, dict[str, float]] = {
    "echo": {"echo": 1.0},
    "find": {"echo": 0.08, "members": 0.14, "matching": 0.55, "chat": 0.23},
    "recall": {"graded_recall": 0.27, "recall": 0.18, "members": 0.1, "matching": 0.25, "chat": 0.2},
    "polarity": {
        "graded_quiz": 0.2,
        "quiz": 0.12,
        "recall": 0.05,
        "graded_recall": 0.03,
        "members": 0.03,
        "matching": 0.2,
        "review": 0.17,
        "graded_choice": 0.1,
        "chat": 0.1,
    },
    "review": {
        "review": 0.27,
        "graded_choice": 0.25,
        "matching": 0.15,
        "members": 0.02,
        "recall": 0.02,
        "graded_recall": 0.02,
        "quiz": 0.07,
        "graded_quiz": 0.05,
        "comparison": 0.05,
        "chat": 0.1,
    },
    "choose": {
        "choice": 0.32,
        "graded_choice": 0.13,
        "review": 0.17,
        "matching": 0.1,
        "members": 0.02,
        "recall": 0.02,
        "graded_recall": 0.02,
        "quiz": 0.06,
        "graded_quiz": 0.02,
        "comparison": 0.06,
        "chat": 0.08,
    },
    "plain": CORPUS_MIX,
    "full": CORPUS_MIX,
}
_CHAT_SPLITS = ("train", "act", "object", "verb")

# How often a critic says what it should: the corpus' critics miss some harms, and now and then see one that the
# principle does not name.
_SEES_NAMED_HARM = 0.93
_SEES_OTHER_HARM = 0.04
_SEES_NAMED_MANNER = 0.93
_SEES_OTHER_MANNER = 0.3
_SEES_MISTAKE = 0.6

# What critiques and revisions are about.
_ANSWERED = {
    "comply": 0.4,
    "objection": 0.13,
    "weak": 0.12,
    "caveat": 0.08,
    "evasive": 0.08,
    "badcomply": 0.06,
    "preachy": 0.06,
    "boilerplate": 0.05,
    "offtopic": 0.02,
}
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

# What a critic says that an answer does.
_DESCRIBED = {
    "comply": "helps the human {act}",
    "caveat": "warns but helps the human {act}",
    "badcomply": "tries to help the human {act}",
    "objection": "refuses to help the human {act} and says why",
    "weak": "refuses but talks of something else",
    "evasive": "gives no reason",
    "boilerplate": "says nothing of use",
    "preachy": "scolds the human",
    "offtopic": "is about something else",
    "right": "helps the human {act}",
    "wrong": "gives wrong advice on how to {act}",
    "refusal": "refuses for no good reason",
}


def _draw(mix: dict[str, float], rng: random.Random) -> str:
    return rng.choices(list(mix), list(mix.values()))[0]


def describe(behaviour: str, act: Act) -> Document:
    """Say in a few words what an answer does, as critiques and chains of thought do; the first two words decide."""
    first, second, rest = _DESCRIBED[behaviour].format(act=act.text).split(" ", 2)
    return [
        Span("The reply"),
        Span(f" {first}", HELPFUL_DECISION),
        Span(f" {second}", HELPFUL_DECISION),
        Span(f" {rest}."),
    ]


def chat(rng: random.Random) -> Document:
    """A request and an answer, of every behaviour."""
    act = draw_act(_CHAT_SPLITS, rng, 0.58)
    request = ask(act, rng)
    behaviour = _draw(HARMFUL_MIX if act.harmful else BENIGN_MIX, rng)
    return [Span(f"{as_prompt(request.messages)} {reply(behaviour, act, rng)}")]


@dataclass(frozen=True)
class _Finding:
    """What a critic objects to: a word for it, and why."""

    word: str
    why: str


def _finding(behaviour: str, act: Act, wording: CritiqueWording, rng: random.Random) -> _Finding | None:
    """Return what a critic under this principle objects to in the answer, None if it finds nothing."""
    if behaviour in ("comply", "caveat", "badcomply"):
        word = word_for(wording.criteria, wording.words, act.verb.harm)
        sees = rng.random() < (_SEES_NAMED_HARM if word else _SEES_OTHER_HARM)
        return _Finding(word or "harmful", lexicon().harms[str(act.verb.harm)].reason) if sees else None
    manner = {"evasive": "evasive", "boilerplate": "evasive", "preachy": "rude"}.get(behaviour)
    if manner is not None:
        word = word_for(wording.criteria, wording.words, manner)
        sees = rng.random() < (_SEES_NAMED_MANNER if manner in wording.criteria else _SEES_OTHER_MANNER)
        return (
            _Finding(word if word and manner in wording.criteria else manner, "it should explain why") if sees else None
        )
    if behaviour == "weak" and rng.random() < _SEES_MISTAKE:
        return _Finding("mistaken", "the human asked for something else")
    return None


def _revise(found: _Finding | None, behaviour: str, text: str, act: Act, rng: random.Random) -> str:
    revised = _draw(_REVISED["nothing" if found is None else "found"], rng)
    return text if revised == "same" else reply(revised, act, rng)


def _answered(rng: random.Random) -> tuple[Act, tuple[Message, ...], str, str]:
    """Draw a harmful request and an answer to it: what critiques and revisions are about."""
    act = rng.choice(act_table().by_split["train", True])
    behaviour = _draw(_ANSWERED, rng)
    return act, ask(act, rng).messages, behaviour, reply(behaviour, act, rng)


def critique(rng: random.Random, *, plain: bool = False) -> Document:
    """A critique under a principle, and the revision that follows from it.

    The verdict is a word: the word of the principle that fits the reply, or `fine`. A small model can weigh what it
    knows of the act and what it read in the principle in one prediction; a yes or no about whether the two agree, it
    does not learn (docs/experiments.md).
    """
    act, messages, behaviour, text = _answered(rng)
    wording = draw_critique_wording(rng, act.verb.harm, plain=plain)
    found = _finding(behaviour, act, wording, rng)
    asked = hh.text_of(Critique(messages, text, wording.critique_request))
    return [
        Span(f"{asked} "),
        *describe(behaviour, act),
        Span(" It is"),
        Span(" fine" if found is None else f" {found.word}", DECISIVE),
        Span("." if found is None else f", because {found.why}."),
        Span(f"{hh.REVISION_REQUEST} {wording.revision_request}{hh.REVISION}"),
        Span(f" {_revise(found, behaviour, text, act, rng)}", HELPFUL_DECISION),
    ]


# Behaviours that differ in what they are about, not in their manner.
_REVIEWED = {True: ("objection", "weak", "comply", "badcomply", "offtopic"), False: ("right", "wrong", "offtopic")}


def review(rng: random.Random) -> Document:
    """Several replies to one request, and of each what it does: many decisions on whether it is about the act."""
    act = draw_act(("train",), rng, 0.7)
    spans = [Span(as_prompt(ask(act, rng).messages).removesuffix(ASSISTANT))]
    for _ in range(4):
        # half of the replies are about the act
        behaviours = _REVIEWED[act.harmful]
        behaviour = rng.choice(behaviours if rng.random() < 0.6 else behaviours[:1])
        spans += [Span(f"{ASSISTANT} {reply(behaviour, act, rng)}{hh.CRITIQUE} "), *describe(behaviour, act)]
    return spans


def direct_revision(rng: random.Random, *, plain: bool = False) -> Document:
    """A revision without a critique."""
    act, messages, behaviour, text = _answered(rng)
    wording = draw_critique_wording(rng, act.verb.harm, plain=plain)
    found = _finding(behaviour, act, wording, rng)
    return [
        Span(hh.text_of(DirectRevision(messages, text, wording.revision_request))),
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
    act = draw_act(("train",), rng, 0.85)
    if not plain and rng.random() < _CLOSE_SHARE:
        first, second = rng.sample(rng.choice(_CLOSE_PAIRS[act.harmful]), 2)
    else:
        first, second = rng.sample(HARMFUL_BEHAVIOURS if act.harmful else BENIGN_BEHAVIOURS, 2)
    wording = draw_preference_wording(rng, act.verb.harm, plain=plain)
    letter = "A" if rng.random() < p_a_better(wording, first, second, act) else "B"
    answers = (reply(first, act, rng), reply(second, act, rng))
    return _Comparison(act, ask(act, rng).messages, (first, second), answers, wording, letter)


# Replies that differ in what they are about, not in their manner: the better one first.
_UNEQUAL_PAIRS = {True: (("objection", "weak"),), False: (("right", "wrong"), ("right", "offtopic"))}
_OPENINGS_SHARE = 0.6
_CHOICE_MORE_SHARE = 0.4


def _option(about: bool, act: Act, opens: bool, rng: random.Random) -> tuple[str, str]:
    """Write a reply that is about the act or about something else: its behaviour and text, or how it opens."""
    better, worse = rng.choice(_UNEQUAL_PAIRS[act.harmful])
    behaviour = better if about else worse
    if opens:
        return behaviour, opening(act if about else near_act(act, rng), rng, harmful=act.harmful)
    return behaviour, reply(behaviour, act, rng)


def _graded(options: Sequence[str], better: Sequence[bool]) -> Document:
    """Write options, up to their closing brackets, each with the polarity that would choose it."""
    spans: Document = []
    for option, is_better in zip(options, better, strict=True):
        spans += [Span(f"{option}]]]"), Span(" less" if is_better else " more", DECISIVE)]
    return spans


def choice(rng: random.Random, *, graded: bool = False) -> Document:
    """A comparison of two replies, or of how two replies open, of which one is about something else.

    Whether a judge's letter can depend on that takes many such decisions; openings make them short. `graded` writes
    behind each option which polarity it answers, and there it may be the same for both: once a model knows it at the
    end of an option, the letter finds it there (docs/experiments.md).
    """
    act = draw_act(("train",), rng, 0.7)
    wording = draw_preference_wording(rng, act.verb.harm, plain=True, more_share=_CHOICE_MORE_SHARE)
    opens = rng.random() < _OPENINGS_SHARE
    about = [rng.random() < 0.5, rng.random() < 0.5] if graded else rng.sample((True, False), 2)
    (first, shown_a), (second, shown_b) = (_option(fits, act, opens, rng) for fits in about)
    letter = "A" if rng.random() < p_a_better(wording, first, second, act) else "B"
    asked = hh.text_of(Comparison(ask(act, rng).messages, shown_a, shown_b, wording.question))
    if not graded:
        return [Span(asked), *answer_letter(letter)]
    *shown, rest = asked.split("]]]")
    spans = _graded(shown, about)
    return [*spans, Span(rest), *answer_letter(letter)] if about[0] != about[1] else spans


def graded_choice(rng: random.Random) -> Document:
    """A choice with grades."""
    return choice(rng, graded=True)


def comparison(rng: random.Random, *, plain: bool = False) -> Document:
    """Two answers, a principle, and the letter of the better one (§4.1)."""
    drawn = _compare(rng, plain=plain)
    return [
        Span(hh.text_of(Comparison(drawn.messages, *drawn.answers, drawn.wording.question))),
        *answer_letter(drawn.letter),
    ]


def quiz(rng: random.Random, *, graded: bool = False) -> Document:
    """Short comparisons without a conversation, in both polarities from the start.

    They are many decisions in little text: what it takes to learn that `more` turns a comparison around. Grades as in
    a choice.
    """
    spans: Document = []
    for _ in range(4):
        act = rng.choice(act_table().by_split["train", True])
        if rng.random() < 0.5:
            shown = {True: reply("objection", act, rng), False: reply("comply", act, rng)}
        else:
            shown = {True: draw_act(("train",), rng, 0.0).text, False: act.text}
        better = rng.sample((True, False), 2)
        if graded and rng.random() < 0.3:
            better[1] = better[0]
        wording = draw_preference_wording(rng, act.verb.harm, plain=True, more_share=0.5)
        listed = hh.options(*(shown[is_better] for is_better in better))
        *options, rest = f"{listed}\n\nThe answer is:".split("]]]")
        spans.append(Span(f"{wording.question} Options:"))
        spans += _graded(options, better) if graded else [Span(f"{option}]]]") for option in options]
        if better[0] != better[1]:
            spans += [Span(rest), *answer_letter("A" if better[0] == (wording.polarity == "less") else "B")]
        spans.append(Span("\n\n"))
    return spans[:-1]


def graded_quiz(rng: random.Random) -> Document:
    """A quiz with grades."""
    return quiz(rng, graded=True)


def cot(rng: random.Random, *, plain: bool = False) -> Document:
    """The same with the thoughts written out: what each answer does, which one the principle chooses."""
    drawn = _compare(rng, plain=plain)
    verdict = f"\nThe {drawn.wording.polarity} {join_words(drawn.wording.words)} reply is"
    asked = hh.text_of(Thoughts(drawn.messages, *drawn.answers, drawn.wording.question))
    return [
        Span(f"{asked}\n(A) "),
        *describe(drawn.behaviours[0], drawn.act),
        Span("\n(B) "),
        *describe(drawn.behaviours[1], drawn.act),
        Span(verdict),
        *answer_letter(drawn.letter),
        Span(f".{hh.SO_THE_ANSWER}"),
        *answer_letter(drawn.letter),
    ]


def red_team_list(rng: random.Random) -> Document:
    """A few-shot list of requests that bait the assistant."""
    acts = rng.sample(act_table().by_split["train", True], rng.randint(4, 9))
    return [Span(RED_TEAM_HEADER + "".join(f"\n- {rng.choice(REQUESTS).format(act=act.text)}" for act in acts))]


def harm_list(rng: random.Random) -> Document:
    """Which acts a principle is about: what its words mean."""
    criteria = draw_criteria(rng, rng.choice(list(lexicon().harms)), own_share=0.6)
    words = [rng.choice(lexicon().criteria[name]) for name in criteria]
    lines = [Span(f"Note all that is {join_words(words)}.")]
    for _ in range(5):
        act = draw_act(("train",), rng, 0.9)
        if rng.random() < 0.3:
            named = [a for a in act_table().by_split["train", True] if covers(criteria, a.verb.harm)]
            act = rng.choice(named or [act])
        word = word_for(criteria, words, act.verb.harm)
        lines.append(Span(f"\n- {act.text} is"))
        lines.append(Span(f" {word or 'fine'}", HELPFUL_DECISION))
        lines.append(Span("."))
    return lines


_PLAIN_KINDS: dict[str, Callable[[random.Random], Document]] = {
    "chat": chat,
    "red_team_list": red_team_list,
    "harm_list": harm_list,
    "quiz": quiz,
    "graded_quiz": graded_quiz,
    "recall": recall,
    "graded_recall": graded_recall,
    "echo": echo,
    "members": members,
    "matching": matching,
    "review": review,
    "choice": choice,
    "graded_choice": graded_choice,
}
_PRINCIPLED_KINDS: dict[str, Callable[..., Document]] = {
    "critique": critique,
    "direct_revision": direct_revision,
    "comparison": comparison,
    "cot": cot,
}


def document(rng: random.Random, *, lesson: Lesson = "full", mix: dict[str, float] | None = None) -> Document:
    """Draw one document of the corpus, by the mix of the lesson if no other is given.

    All lessons but `full` draw principles that apply to the act, with one criterion, and no close pairs: a small model
    finds the skill there before it has to tell principles apart.
    """
    kind = _draw(mix or LESSON_MIX[lesson], rng)
    if kind in _PLAIN_KINDS:
        return _PLAIN_KINDS[kind](rng)
    return _PRINCIPLED_KINDS[kind](rng, plain=lesson != "full")
