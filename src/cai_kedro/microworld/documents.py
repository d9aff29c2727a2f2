"""The pretraining corpus: one function per kind of document, every skill in the exact layout of core/layouts/hh.py.

A document is a list of spans. A span with a weight above 1 marks where the text *decides* something (the answer
letter, the verdict of a critique); its first token counts that much more in the loss, as these tokens are a small
share of all text.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from cai_kedro.core.asks import Comparison, Critique, DirectRevision, Thoughts
from cai_kedro.core.conversation import ASSISTANT, Message, as_prompt
from cai_kedro.core.layouts import hh
from cai_kedro.microworld.acts import Act, act_table, draw_act
from cai_kedro.microworld.criteria import Told, degree, tell
from cai_kedro.microworld.finding import echo, graded_recall, matching, members, recall
from cai_kedro.microworld.lexicon import GENERAL, lexicon
from cai_kedro.microworld.principles import (
    CritiqueWording,
    PreferenceWording,
    draw_critique_wording,
    draw_preference_wording,
    draw_words,
    join_words,
    word_for,
)
from cai_kedro.microworld.quizzes import (
    about_quiz,
    choice,
    drawn_letter,
    graded_about_quiz,
    graded_choice,
    graded_quiz,
    quiz,
    told_pair,
    weighing,
)
from cai_kedro.microworld.replies import (
    REQUESTS,
    ask,
    behaviours_towards,
    reply,
)
from cai_kedro.microworld.rule_documents import called_on, numbered_list, renamed, ruled, styled, weighed_rules
from cai_kedro.microworld.spans import DECISIVE, HELPFUL_DECISION, Document, Span

#: Header of the few-shot lists from which red-team prompts are generated.
RED_TEAM_HEADER = "Questions that may lead to harm:"

CORPUS_MIX = {
    "chat": 0.1,
    "critique": 0.12,
    "direct_revision": 0.03,
    "comparison": 0.13,
    "weighing": 0.18,
    "quiz": 0.02,
    "graded_quiz": 0.02,
    "cot": 0.05,
    "red_team_list": 0.01,
    "harm_list": 0.02,
    "glossary": 0.02,
    "echo": 0.01,
    "members": 0.01,
    "matching": 0.03,
    "recall": 0.01,
    "graded_recall": 0.01,
    "review": 0.05,
    "choice": 0.04,
    "graded_choice": 0.02,
    "about_quiz": 0.02,
    "ruled": 0.06,
    "styled": 0.02,
    "numbered_list": 0.02,
}


def _shares(weights: dict[str, float]) -> dict[str, float]:
    """Return weights as shares of their sum."""
    return {kind: weight / sum(weights.values()) for kind, weight in weights.items()}


_WITHOUT_RULED = {kind: share for kind, share in CORPUS_MIX.items() if kind != "ruled"}
#: The lessons in their order. `plain` has the mix of `full`, and plain principles; the last three are read late in a
#: training, by `later`.
Lesson = Literal[
    "echo", "find", "recall", "polarity", "review", "weigh", "compare", "plain", "full", "anneal", "rules", "last"
]
LESSON_MIX: dict[Lesson, dict[str, float]] = {
    "echo": {"echo": 1.0},
    "find": {"echo": 0.08, "members": 0.14, "matching": 0.55, "chat": 0.23},
    "recall": {"graded_recall": 0.27, "recall": 0.18, "members": 0.1, "matching": 0.25, "chat": 0.2},
    "polarity": {
        "graded_quiz": 0.2,
        "quiz": 0.12,
        "graded_about_quiz": 0.16,
        "about_quiz": 0.08,
        "recall": 0.05,
        "graded_recall": 0.03,
        "members": 0.03,
        "matching": 0.15,
        "review": 0.1,
        "chat": 0.08,
    },
    "review": {
        "review": 0.2,
        "harm_list": 0.05,
        "graded_about_quiz": 0.1,
        "about_quiz": 0.07,
        "graded_choice": 0.17,
        "matching": 0.1,
        "members": 0.02,
        "recall": 0.02,
        "graded_recall": 0.02,
        "quiz": 0.06,
        "graded_quiz": 0.04,
        "comparison": 0.07,
        "chat": 0.08,
    },
    "weigh": {
        "weighing": 0.38,
        "comparison": 0.06,
        "critique": 0.1,
        "choice": 0.06,
        "about_quiz": 0.03,
        "quiz": 0.03,
        "review": 0.13,
        "harm_list": 0.05,
        "matching": 0.06,
        "members": 0.01,
        "recall": 0.02,
        "chat": 0.07,
    },
    "compare": {
        "weighing": 0.2,
        "comparison": 0.22,
        "critique": 0.13,
        "choice": 0.07,
        "about_quiz": 0.03,
        "quiz": 0.03,
        "review": 0.1,
        "harm_list": 0.05,
        "matching": 0.05,
        "members": 0.01,
        "recall": 0.01,
        "chat": 0.1,
    },
    "plain": CORPUS_MIX,
    "full": CORPUS_MIX,
    "anneal": {**CORPUS_MIX, "weighing": 0.12, "review": 0.03, "graded_quiz": 0.01, "ruled": 0.05, "renamed": 0.1},
    "rules": {
        "called_on": 0.35,
        "weighed_rules": 0.25,
        "chat": 0.1,
        "critique": 0.1,
        "comparison": 0.1,
        "weighing": 0.1,
    },
    # more of what tells which harm a verb does, so that critics know verbs of which no critique spoke
    "last": _shares(
        {
            **_WITHOUT_RULED,
            "chat": 0.14,
            "glossary": 0.04,
            "harm_list": 0.03,
            "critique": 0.15,
            "cot": 0.13,
            "weighing": 0.13,
            "weighed_rules": 0.09,
            "called_on": 0.02,
        }
    ),
}
#: Lessons whose principles name several criteria, or one that does not fit the act.
_WHOLE: tuple[Lesson, ...] = ("full", "anneal", "rules", "last")
_KNOWN = ("train",)
_CHATTED = ("train", "object", "verb")
_LOOK_ALIKE_SHARE = 0.12

# How often a critic sees what the principle names: what is petty is let pass more often than what is grave.
_SEES_HARM = {1: 0.82, 2: 0.9, 3: 0.95, 4: 0.97}
_SEES_MANNER = 0.93

# What critiques and revisions are about, by what was asked.
_ASKED = {"harmful": 0.7, "look_alike": 0.15, "benign": 0.15}
_ANSWERED = {
    "harmful": {
        "comply": 0.4, "objection": 0.13, "weak": 0.1, "caveat": 0.08, "evasive": 0.08, "badcomply": 0.06,
        "partial": 0.04, "preachy": 0.06, "boilerplate": 0.04, "offtopic": 0.03,
    },
    "look_alike": {"right": 0.5, "refusal": 0.25, "preachy": 0.1, "wrong": 0.05, "evasive": 0.1},
    "benign": {"right": 0.4, "wrong": 0.3, "offtopic": 0.1, "refusal": 0.05, "evasive": 0.1, "preachy": 0.05},
}  # fmt: skip
# What a reviser writes behind a finding; behind none almost always the same again.
_REVISED = {
    True: {"objection": 0.86, "caveat": 0.04, "same": 0.04, "evasive": 0.03, "preachy": 0.03},
    False: {"right": 0.9, "same": 0.06, "evasive": 0.04},
}
_KEPT = 0.96
# Which replies have more of a criterion, and whether to a harmful request.
_MORE_OF = {
    GENERAL: (("comply", True),),
    "rude": (("preachy", True), ("preachy", False)),
    "evasive": (("evasive", True), ("evasive", False)),
    "mistaken": (("weak", True), ("wrong", False)),
    "suspicious": (("refusal", False),),
    "nothing": (),
}

# What a critic says that an answer does.
_DESCRIBED = {
    "comply": "helps the human {act}",
    "caveat": "warns but helps the human {act}",
    "badcomply": "tries to help the human {act}",
    "partial": "begins to help the human {act}",
    "objection": "refuses to help the human {act} and says why",
    "weak": "refuses but talks of something else",
    "evasive": "gives no reason",
    "boilerplate": "says nothing of use",
    "preachy": "scolds the human",
    "offtopic": "is about something else",
    "right": "helps the human {act}",
    "right_caveat": "warns but helps the human {act}",
    "wrong": "gives wrong advice on how to {act}",
    "refusal": "refuses to help the human {act} and says why",
}
_WHY = {
    "rude": "nobody likes to be scolded",
    "evasive": "it should explain why",
    "mistaken": "the human asked for something else",
    "suspicious": "the human harms nobody",
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
    act = draw_act(_CHATTED, rng, 0.5, _LOOK_ALIKE_SHARE)
    request = ask(act, rng)
    return [Span(f"{as_prompt(request.messages)} {reply(_draw(behaviours_towards(act), rng), act, rng)}")]


@dataclass(frozen=True)
class _Finding:
    """What a critic objects to: the principle's word for it, and why."""

    word: str
    why: str


def _finding(told: Told, wording: CritiqueWording, rng: random.Random) -> _Finding | None:
    """Return what a critic under this principle objects to in the answer, None if it finds nothing."""
    word = word_for(wording.criteria, wording.words, told)
    if word is None:
        return None
    criterion = wording.criteria[wording.words.index(word)]
    why = _WHY.get(criterion)
    if rng.random() >= (_SEES_HARM[told.act.severity] if why is None else _SEES_MANNER):
        return None
    return _Finding(word, lexicon().harms[str(told.act.harm)].reason if why is None else why)


def _revise(found: _Finding | None, told: Told, wording: CritiqueWording, rng: random.Random) -> str:
    if wording.polarity == "more":
        return _worsened(told, wording, rng)
    if found is None and rng.random() < _KEPT:
        return told.text
    revised = _draw(_REVISED[told.act.harmful], rng)
    return told.text if revised == "same" else reply(revised, told.act, rng)


def _worsened(told: Told, wording: CritiqueWording, rng: random.Random) -> str:
    """Write a reply of which the principle's criterion fits more, the same one where there is none."""
    criteria = [name for name in wording.criteria if degree(name, told) == 0]
    rng.shuffle(criteria)
    for criterion in criteria:
        behaviours = [
            name for name, harmful in _MORE_OF.get(criterion, _MORE_OF[GENERAL]) if harmful == told.act.harmful
        ]
        worse = [tell(name, told.act, rng) for name in behaviours]
        fitting = [other for other in worse if degree(criterion, other) > 0]
        if fitting:
            return rng.choice(fitting).text
    return told.text


def _answered(rng: random.Random, *, plain: bool) -> tuple[tuple[Message, ...], Told]:
    """Draw a request and an answer to it: what critiques and revisions are about. Plain: no look-alike."""
    asked = _draw(_ASKED, rng)
    asked = "harmful" if plain and asked == "look_alike" else asked
    table = act_table()
    act = rng.choice(
        table.look_alikes["train"] if asked == "look_alike" else table.by_split["train", asked == "harmful"]
    )
    return ask(act, rng).messages, tell(_draw(_ANSWERED[asked], rng), act, rng, bare=plain)


def critique(rng: random.Random, *, plain: bool = False) -> Document:
    """A critique under a principle, and the revision that follows from it.

    The verdict is a word: the word of the principle that fits the reply, or `fine`. A small model can weigh what it
    knows of the act and what it read in the principle in one prediction; a yes or no about whether the two agree, it
    does not learn (docs/experiments.md).
    """
    messages, told = _answered(rng, plain=plain)
    wording = draw_critique_wording(rng, told, plain=plain)
    found = _finding(told, wording, rng)
    asked = hh.text_of(Critique(messages, told.text, wording.critique_request))
    return [
        Span(f"{asked} "),
        *describe(told.behaviour, told.act),
        Span(" It is"),
        Span(" fine" if found is None else f" {found.word}", DECISIVE),
        Span("." if found is None else f", because {found.why}."),
        Span(f"{hh.REVISION_REQUEST} {wording.revision_request}{hh.REVISION}"),
        Span(f" {_revise(found, told, wording, rng)}", HELPFUL_DECISION),
    ]


# Behaviours that differ in what they are about, not in their manner.
_REVIEWED = {True: ("objection", "weak", "comply", "badcomply", "offtopic"), False: ("right", "wrong", "offtopic")}


def review(rng: random.Random) -> Document:
    """Several replies to one request, and of each what it does: many decisions on whether it is about the act."""
    act = draw_act(_KNOWN, rng, 0.5, 0.05)
    spans = [Span(as_prompt(ask(act, rng).messages).removesuffix(ASSISTANT))]
    for _ in range(4):
        # half of the replies are about the act
        behaviours = _REVIEWED[act.harmful]
        behaviour = rng.choice(behaviours if rng.random() < 0.6 else behaviours[:1])
        spans += [Span(f"{ASSISTANT} {reply(behaviour, act, rng)}{hh.CRITIQUE} "), *describe(behaviour, act)]
    return spans


def direct_revision(rng: random.Random, *, plain: bool = False) -> Document:
    """A revision without a critique."""
    messages, told = _answered(rng, plain=plain)
    wording = draw_critique_wording(rng, told, plain=plain)
    return [
        Span(hh.text_of(DirectRevision(messages, told.text, wording.revision_request))),
        Span(f" {_revise(_finding(told, wording, rng), told, wording, rng)}", HELPFUL_DECISION),
    ]


@dataclass(frozen=True)
class _Comparison:
    messages: tuple[Message, ...]
    told: tuple[Told, Told]
    wording: PreferenceWording
    letter: Document


def _compare(rng: random.Random, *, plain: bool) -> _Comparison:
    act = draw_act(_KNOWN, rng, 0.7, 0.0 if plain else _LOOK_ALIKE_SHARE)
    first, second = told_pair(act, rng, bare=plain)
    wording = draw_preference_wording(rng, first, second, plain=plain)
    return _Comparison(ask(act, rng).messages, (first, second), wording, drawn_letter(wording, first, second, rng))


def comparison(rng: random.Random, *, plain: bool = False) -> Document:
    """Two answers, a principle, and the letter that it asks for (§4.1)."""
    drawn = _compare(rng, plain=plain)
    first, second = drawn.told
    return [
        Span(hh.text_of(Comparison(drawn.messages, first.text, second.text, drawn.wording.question))),
        *drawn.letter,
    ]


def cot(rng: random.Random, *, plain: bool = False) -> Document:
    """The same with the thoughts written out: what each answer does, what of the principle fits it, and the choice.

    What fits is said as critiques say it, by the word of the principle or `fine`. So the letter has little left to
    weigh: which polarity was asked for, and which answer is the one that is not fine.
    """
    drawn = _compare(rng, plain=plain)
    wording = drawn.wording
    asked = hh.text_of(Thoughts(drawn.messages, drawn.told[0].text, drawn.told[1].text, wording.question))
    spans = [Span(asked)]
    for choice_mark, told in zip(hh.CHOICES, drawn.told, strict=True):
        word = word_for(wording.criteria, wording.words, told)
        spans += [Span(f"\n{choice_mark.strip()} "), *describe(told.behaviour, told.act)]
        spans += [Span(" It is"), Span(f" {word or 'fine'}", DECISIVE), Span(".")]
    spans += [
        Span("\nThe answer that is"),
        Span(f" {wording.polarity}", HELPFUL_DECISION),
        Span(" so is"),
        *drawn.letter,
    ]
    return [*spans, Span(f".{hh.SO_THE_ANSWER}"), *drawn.letter]


def red_team_list(rng: random.Random) -> Document:
    """A few-shot list of requests that bait the assistant."""
    acts = rng.sample(act_table().by_split["train", True], rng.randint(4, 9))
    return [Span(RED_TEAM_HEADER + "".join(f"\n- {rng.choice(REQUESTS).format(act=act.text)}" for act in acts))]


def harm_list(rng: random.Random) -> Document:
    """Which acts a principle is about: what its words mean, and what only looks like it."""
    criteria = rng.sample([GENERAL, *lexicon().harms], rng.choices((1, 2, 3), (0.5, 0.3, 0.2))[0])
    words = draw_words(criteria, rng)
    named = [
        act
        for act in act_table().by_split["train", True]
        if word_for(criteria, words, Told("comply", act, "")) is not None
    ]
    lines = [Span(f"Note all that is {join_words(words)}.")]
    for _ in range(5):
        act = rng.choice(named) if rng.random() < 0.35 else draw_act(_KNOWN, rng, 0.6, 0.3)
        word = word_for(criteria, words, Told("comply", act, ""))
        lines += [Span(f"\n- {act.text} is"), Span(f" {word or 'fine'}", HELPFUL_DECISION), Span(".")]
    return lines


def glossary(rng: random.Random) -> Document:
    """What verbs are, without an object: the only text that held-out verbs stand in, but for lists of words."""
    lines = [Span("What is harmful:")]
    for verb in rng.sample([verb for verb in lexicon().verbs if verb.harm is not None], 5):
        harm = lexicon().harms[str(verb.harm)]
        said = rng.choice((f"because {harm.reason}", f"{rng.choice(harm.words)}, because {harm.reason}"))
        end = f". Instead, {harm.alternative}." if rng.random() < 0.5 else "."
        lines += [Span(f"\n- to {verb.text}, "), Span(said, HELPFUL_DECISION), Span(end)]
    return lines


_PLAIN_KINDS: dict[str, Callable[[random.Random], Document]] = {
    "chat": chat,
    "red_team_list": red_team_list,
    "harm_list": harm_list,
    "glossary": glossary,
    "ruled": ruled,
    "renamed": renamed,
    "called_on": called_on,
    "weighed_rules": weighed_rules,
    "styled": styled,
    "numbered_list": numbered_list,
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
    "about_quiz": about_quiz,
    "graded_about_quiz": graded_about_quiz,
}
_PRINCIPLED_KINDS: dict[str, Callable[..., Document]] = {
    "critique": critique,
    "direct_revision": direct_revision,
    "comparison": comparison,
    "cot": cot,
    "weighing": weighing,
}


def document(rng: random.Random, *, lesson: Lesson = "full", mix: dict[str, float] | None = None) -> Document:
    """Draw one document of the corpus, by the mix of the lesson if no other is given.

    All lessons up to `plain` draw principles that apply to the act, with one criterion, and no close pairs: a
    small model finds the skill there before it has to tell principles apart.
    """
    kind = _draw(mix or LESSON_MIX[lesson], rng)
    if kind in _PLAIN_KINDS:
        return _PLAIN_KINDS[kind](rng)
    return _PRINCIPLED_KINDS[kind](rng, plain=lesson not in _WHOLE)
