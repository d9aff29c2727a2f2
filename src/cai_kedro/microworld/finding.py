"""Documents that teach a small model to find a word again, and to see that something is not there.

Whether an answer is about the act that was asked is an equality of words. In whole conversations training finds no
first step towards it (docs/experiments.md). It does in this order: say words again (attention from a word to the same
word), tell whether a word was among some (what attention found, or did not), then the same for acts and replies.

The letter of the option in which a word of the question stands is the same once more, and what polarity needs: `more`
asks for the option that the model knows to be `more`. So these two words are among all others from the start: in
questions alone they stand in the same places and become the same vector.
"""

import random
from functools import cache

from cai_kedro.core.layouts import hh
from cai_kedro.microworld.acts import Act, act_table, draw_act
from cai_kedro.microworld.lexicon import lexicon
from cai_kedro.microworld.principles import PREFERENCE_TEMPLATES
from cai_kedro.microworld.replies import LEADS, OBJECTIONS, REQUESTS, reply
from cai_kedro.microworld.spans import DECISIVE, Document, Span, answer_letter

_SPLITS = ("train",)
_HARMFUL_SHARE = 0.6
# The kinds of text that matching compares with a request, from an act alone to a whole reply, and how many of them.
_TEXTS = {"act": 8, "opening": 7, "method": 5, "reply": 5}
_POLARITIES = ("less", "more")


def all_words(*, held_out: bool) -> list[str]:
    """Return the nouns, and the verbs of one word; those that no request asks for if they are wanted."""
    nouns = [noun.text for noun in lexicon().nouns if held_out or not noun.held_out]
    return nouns + [verb.text for verb in lexicon().verbs if " " not in verb.text and (held_out or not verb.held_out)]


def _some_words(n: int, rng: random.Random) -> list[str]:
    """Draw at most n words of all, `less` and `more` often among them."""
    drawn = rng.sample(all_words(held_out=True), n)
    for polarity in _POLARITIES:
        if rng.random() < 0.4:
            drawn[rng.randrange(n)] = polarity
    return drawn


def echo(rng: random.Random) -> Document:
    """Words in no order, and again, forwards or backwards."""
    said = _some_words(rng.randint(4, 24), rng)
    name, again = rng.choice((("Again", said), ("Backwards", said[::-1])))
    return [Span(f"{name}: {' '.join(said)}. {' '.join(again)}.")]


def members(rng: random.Random) -> Document:
    """A few words, then for each of some words whether it was among them."""
    words = all_words(held_out=True)
    said = _some_words(rng.randint(1, 12), rng)
    spans = [Span(f"Words: {' '.join(said)}.\n")]
    for _ in range(rng.randint(4, 16)):
        word = rng.choice(_POLARITIES if rng.random() < 0.25 else said if rng.random() < 0.5 else words)
        spans += [Span(f" {word}"), Span(" same" if word in said else " other", DECISIVE)]
    return spans


def _two_words(rng: random.Random, *, graded: bool) -> tuple[str, str, str]:
    """Draw a word to be found and the words that mark two options: one of them, or if graded both or none, is it."""
    wanted, other, third = rng.sample(all_words(held_out=False), 3)
    if rng.random() < 0.5:
        wanted, other = rng.sample(_POLARITIES, 2)
    if graded and rng.random() < 0.3:
        return wanted, *rng.choice(((wanted, wanted), (other, third)))
    first, second = rng.sample((wanted, other), 2)
    return wanted, first, second


def recall(rng: random.Random, *, graded: bool = False) -> Document:
    """Questions for the option that a word marks, in the layout of comparisons.

    `graded` says behind each option whether it is the one; where both or none are, no letter follows.
    """
    spans: Document = []
    for _ in range(4):
        wanted, *marks = _two_words(rng, graded=graded)
        question = rng.choice(PREFERENCE_TEMPLATES).format(p=wanted, x=rng.choice(all_words(held_out=False)))
        filled = (" ".join(rng.sample(all_words(held_out=False), rng.randint(1, 5))) for _ in marks)
        option_a, option_b, _ = hh.options(*filled).split("]]]")
        spans.append(Span(f"{question} Options:"))
        for option, mark in zip((option_a, option_b), marks, strict=True):
            spans.append(Span(f"{option}]]] {mark}"))
            if graded:
                spans.append(Span(" same" if mark == wanted else " other", DECISIVE))
        if marks[0] != marks[1] and wanted in marks:
            spans += [Span("\n\nThe answer is:"), *answer_letter("A" if marks[0] == wanted else "B")]
        spans.append(Span("\n\n"))
    return spans[:-1]


def graded_recall(rng: random.Random) -> Document:
    """The same, saying behind each option whether it is the one."""
    return recall(rng, graded=True)


@cache
def _known_by_noun(noun: str) -> tuple[Act, ...]:
    return tuple(act for act in act_table().acts if act.noun.text == noun and act.split in _SPLITS)


def near_act(act: Act, rng: random.Random) -> Act:
    """Draw an act that differs in one word: done to another object, or something else done to the object."""
    if rng.random() < 0.5:
        group = act_table().look_alikes["train"] if act.looks_harmful else act_table().by_split["train", act.harmful]
        others = [other for other in group if other.verb == act.verb and other.noun != act.noun]
        if others:
            return rng.choice(others)
    return rng.choice([other for other in _known_by_noun(act.noun.text) if other.verb != act.verb])


def opening(act: Act, rng: random.Random, *, harmful: bool | None = None) -> str:
    """Write how a reply about the act begins, up to the act: an objection if it counts as harmful, else advice."""
    openings = OBJECTIONS if (act.harmful if harmful is None else harmful) else LEADS
    return rng.choice(openings).split("{act}")[0] + act.text


def _told(kind: str, act: Act, rng: random.Random) -> tuple[str, bool]:
    """Write a text of a kind, and whether it is about the act in all that it says."""
    same = rng.random() < 0.5
    other = act if same else near_act(act, rng) if rng.random() < 0.6 else draw_act(_SPLITS, rng, _HARMFUL_SHARE)
    if kind == "act":
        return f"- {other.text}", other == act
    if kind == "opening":
        return opening(other, rng, harmful=rng.random() < 0.5), other == act
    if kind == "method":
        return f"{rng.choice(LEADS).format(act=act.text)}{other.verb.method}.", other.verb == act.verb
    if not same and act.harmful and rng.random() < 0.3:
        return reply("weak", act, rng, polite=0.0, long=0.0), False
    behaviour = rng.choice(("objection", "comply")) if other.harmful else "right"
    return reply(behaviour, other, rng, polite=0.0, long=0.0), other == act


def matching(rng: random.Random) -> Document:
    """A request, and of some texts whether they are about the same act."""
    act = draw_act(_SPLITS, rng, _HARMFUL_SHARE)
    kind = rng.choice(list(_TEXTS))
    spans = [Span(f"- {act.text}" if rng.random() < 0.3 else rng.choice(REQUESTS).format(act=act.text)), Span("\n")]
    for _ in range(_TEXTS[kind]):
        text, same = _told(kind, act, rng)
        spans += [Span(f"\n{text}"), Span(" same" if same else " other", DECISIVE)]
    return spans
