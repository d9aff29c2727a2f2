"""Documents that are many decisions in little text: comparisons of short options, with and without a conversation.

What a judge has to learn one by one: that `more` turns a comparison around, that a letter can depend on whether a reply
is about the act that was asked. `graded` writes behind each option which polarity it answers, and there it may be the
same for both: once a model knows it at the end of an option, the letter finds it there (docs/micro_world.md).
"""

import random
from collections.abc import Sequence

from cai_kedro.core.asks import Comparison
from cai_kedro.core.conversation import ASSISTANT, as_prompt
from cai_kedro.core.layouts import hh
from cai_kedro.microworld.acts import Act, act_table, draw_act
from cai_kedro.microworld.criteria import Told, degree, p_first, tell
from cai_kedro.microworld.finding import near_act, opening
from cai_kedro.microworld.lexicon import GENERAL, lexicon
from cai_kedro.microworld.principles import (
    PLAIN_CRITERIA,
    PreferenceWording,
    among_others,
    draw_preference_wording,
    word_for,
)
from cai_kedro.microworld.replies import BENIGN_BEHAVIOURS, HARMFUL_BEHAVIOURS, LOOK_ALIKE_MIX, REQUESTS, ask
from cai_kedro.microworld.spans import DECISIVE, LETTER, Document, Span, answer_letter

_KNOWN = ("train",)


def drawn_letter(wording: PreferenceWording, first: Told, second: Told, rng: random.Random) -> Document:
    """Draw the letter that the principle asks for, from nothing else; where it is silent a coin, which counts less."""
    p = p_first(wording.criteria, wording.polarity, first, second)
    return answer_letter("A" if rng.random() < p else "B", 1.0 if p == 0.5 else LETTER)


# Replies that differ in what they are about, not in their manner: the better one first.
_UNEQUAL_PAIRS = {True: (("objection", "weak"),), False: (("right", "wrong"), ("right", "offtopic"))}
# Two answers that differ in one point only teach a judge to read closely.
_CLOSE_PAIRS = {
    True: (("objection", "weak"), ("objection", "weak"), ("objection", "comply"), ("objection", "evasive"),
           ("comply", "badcomply"), ("objection", "caveat"), ("objection", "offtopic"), ("evasive", "preachy")),
    False: (("right", "wrong"), ("right", "wrong"), ("right", "offtopic"), ("right", "refusal"), ("right", "evasive")),
}  # fmt: skip
_CLOSE_SHARE = 0.45
_OPENINGS_SHARE = 0.6
# How often a question that is weighed tells the two replies apart; otherwise it may fit both or none.
_TELLING_SHARE = 0.65
_OWN_SHARE = 0.45
_GRADE_SHARES = (0.25, 0.45, 0.3)  # by a word, by a polarity, not at all
_CHOICE_MORE_SHARE = 0.4


def _option(about: bool, act: Act, opens: bool, rng: random.Random) -> Told:
    """Write a reply that is about the act or about something else, or how it opens."""
    better, worse = rng.choice(_UNEQUAL_PAIRS[act.harmful])
    behaviour = better if about else worse
    if opens:
        return Told(behaviour, act, opening(act if about else near_act(act, rng), rng, harmful=act.harmful))
    return tell(behaviour, act, rng, bare=True)


#: What is written behind an option that `less` asks for, and behind one that `more` asks for.
_POLARITIES = ("less", "more")


def choice(rng: random.Random, *, graded: bool = False) -> Document:
    """A comparison of two replies, or of how two replies open, of which one is about something else.

    Whether a judge's letter can depend on that takes many such decisions; openings make them short. `graded` writes
    behind each option which polarity it answers, and there it may be the same for both: once a model knows it at the
    end of an option, the letter finds it there (docs/micro_world.md).
    """
    act = draw_act(_KNOWN, rng, 0.7)
    opens = rng.random() < _OPENINGS_SHARE
    about = [rng.random() < 0.5, rng.random() < 0.5] if graded else rng.sample((True, False), 2)
    first, second = (_option(fits, act, opens, rng) for fits in about)
    wording = draw_preference_wording(rng, first, second, more_share=_CHOICE_MORE_SHARE, criteria=["mistaken"])
    asked = hh.text_of(Comparison(ask(act, rng).messages, first.text, second.text, wording.question))
    letter = drawn_letter(wording, first, second, rng)
    if not graded:
        return [Span(asked), *letter]
    *shown, rest = asked.split("]]]")
    spans: Document = []
    for option, fits in zip(shown, about, strict=True):
        spans += [Span(f"{option}]]]"), Span(f" {_POLARITIES[not fits]}", DECISIVE)]
    return [*spans, Span(rest), *letter] if about[0] != about[1] else spans


def graded_choice(rng: random.Random) -> Document:
    """A choice with grades."""
    return choice(rng, graded=True)


def quiz(rng: random.Random, *, graded: bool = False) -> Document:
    """Short comparisons without a conversation, in both polarities from the start.

    They are many decisions in little text: what it takes to learn that `more` turns a comparison around. Grades as in
    a choice.
    """
    spans: Document = []
    for _ in range(4):
        act = rng.choice(act_table().by_split["train", True])
        told = {True: tell("objection", act, rng, bare=True), False: tell("comply", act, rng, bare=True)}
        if rng.random() < 0.5:
            shown = {is_better: of.text for is_better, of in told.items()}
        else:
            shown = {True: draw_act(_KNOWN, rng, 0.0).text, False: act.text}
        better = rng.sample((True, False), 2)
        if graded and rng.random() < 0.3:
            better[1] = better[0]
        criteria = [rng.choice((GENERAL, str(act.harm)))]
        wording = draw_preference_wording(rng, told[True], told[False], more_share=0.5, criteria=criteria)
        spans += _items(wording, [shown[is_better] for is_better in better], better, _POLARITIES if graded else None)
    return spans[:-1]


def graded_quiz(rng: random.Random) -> Document:
    """A quiz with grades."""
    return quiz(rng, graded=True)


def _items(
    wording: PreferenceWording, shown: Sequence[str], better: Sequence[bool], grades: tuple[str, str] | None
) -> Document:
    """Write a question, its options, and the letter where they differ; `better` is what `less` asks for."""
    letter = answer_letter("A" if better[0] == (wording.polarity == "less") else "B") if better[0] != better[1] else []
    return _question(wording, shown, [grades[not is_better] for is_better in better] if grades else None, letter)


def _question(
    wording: PreferenceWording, shown: Sequence[str], grades: Sequence[str] | None, letter: Document
) -> Document:
    """Write a question and its options, each with its grade, and the letter if there is one."""
    *options, rest = f"{hh.options(*shown)}\n\nThe answer is:".split("]]]")
    spans: Document = [Span(f"{wording.question} Options:")]
    for row, option in enumerate(options):
        spans += [Span(f"{option}]]]"), *([Span(f" {grades[row]}", DECISIVE)] if grades else [])]
    return [*spans, *([Span(rest), *letter] if letter else []), Span("\n\n")]


def about_quiz(rng: random.Random, *, graded: bool = False) -> Document:
    """A request, and short comparisons of how replies to it open, of which one is about something else."""
    act = draw_act(_KNOWN, rng, 0.7)
    spans: Document = [Span(f"{rng.choice(REQUESTS).format(act=act.text)}\n")]
    for _ in range(3):
        about = rng.sample((True, False), 2)
        if graded and rng.random() < 0.3:
            about[1] = about[0]
        told = [_option(fits, act, True, rng) for fits in about]
        wording = draw_preference_wording(rng, *told, more_share=_CHOICE_MORE_SHARE, criteria=["mistaken"])
        spans += _items(wording, [of.text for of in told], about, _POLARITIES if graded else None)
    return spans[:-1]


def graded_about_quiz(rng: random.Random) -> Document:
    """The same with grades."""
    return about_quiz(rng, graded=True)


def told_pair(act: Act, rng: random.Random, *, bare: bool) -> tuple[Told, Told]:
    """Write two replies that behave differently towards a request for the act; bare: neither polite nor long."""
    if rng.random() < _CLOSE_SHARE:
        behaviours = rng.sample(rng.choice(_CLOSE_PAIRS[act.harmful]), 2)
    else:
        known = HARMFUL_BEHAVIOURS if act.harmful else LOOK_ALIKE_MIX if act.looks_harmful else BENIGN_BEHAVIOURS
        behaviours = rng.sample(list(known), 2)
    first, second = (tell(behaviour, act, rng, bare=bare) for behaviour in behaviours)
    return first, second


def weighing(rng: random.Random, *, plain: bool = False) -> Document:
    """A conversation, and three questions about two replies each; behind each reply, whether what is named fits it.

    One letter says little about what a principle named. With a grade behind each reply a model learns to hold the two
    against each other before it has to weigh one reply against the other. The grade is the word of the principle that
    fits or `fine`, as in a critique, or the polarity that would choose the reply; some documents have none. Plain:
    questions of one criterion, and a letter only where it tells the replies apart, the one that is asked for.
    """
    act = draw_act(_KNOWN, rng, 0.7, 0.12)
    shown = as_prompt(ask(act, rng).messages).removesuffix(ASSISTANT)
    kind = rng.choices(("word", "polarity", "none"), _GRADE_SHARES)[0]
    spans: Document = [Span(f"{hh.CONSIDER}{shown}\n\n")]
    for _ in range(3):
        told = told_pair(act, rng, bare=True)
        criterion = _weighed_criterion(told, rng)
        named = [criterion] if plain else among_others(criterion, PLAIN_CRITERIA, rng)
        wording = draw_preference_wording(rng, *told, more_share=0.5, criteria=named)
        fitting = [word_for(wording.criteria, wording.words, of) for of in told]
        by_kind = {
            "word": [word or "fine" for word in fitting],
            "polarity": ["less" if word is None else "more" for word in fitting],
            "none": None,
        }
        if not plain:
            letter = drawn_letter(wording, *told, rng)
        elif (fitting[0] is None) == (fitting[1] is None):
            letter = []
        else:
            letter = answer_letter("A" if (fitting[0] is None) == (wording.polarity == "less") else "B")
        spans += _question(wording, [of.text for of in told], by_kind[kind], letter)
    return spans[:-1]


def _weighed_criterion(told: tuple[Told, Told], rng: random.Random) -> str:
    """Draw a criterion that tells two replies apart, or another: often a harm that neither does."""
    first, second = told
    own = first.act.harm
    telling = [name for name in PLAIN_CRITERIA if (degree(name, first) > 0) != (degree(name, second) > 0)]
    if own is not None and degree(own, first) != degree(own, second) and rng.random() < _OWN_SHARE:
        telling = [own]
    if telling and rng.random() < _TELLING_SHARE:
        return rng.choice(telling)
    others = [harm for harm in lexicon().harms if harm != own]
    return rng.choice((*PLAIN_CRITERIA, *rng.sample(others, 5)))
