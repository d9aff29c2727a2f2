"""The grammar of principles: criteria x polarity x wording, as questions for comparisons and as pairs of requests.

A word may name a criterion ("harmful") or its contrary ("harmless"): what a principle asks of the criterion is then the
contrary of what its wording says.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from cai_kedro.englishworld.criteria import GENERAL, MANNERS
from cai_kedro.englishworld.deeds import Deed
from cai_kedro.englishworld.frames import Frame, frames_of, of_split
from cai_kedro.englishworld.lexicon import Split, lexicon, raw

Polarity = Literal["less", "more"]
Form = Literal["adjective", "noun", "phrase", "opposite"]

#: What a frame is written for: "be {x}", "help with {x}", "help people {x}".
Wording = Literal["adjective", "noun", "phrase"]

_OTHER: dict[Polarity, Polarity] = {"less": "more", "more": "less"}
_FIELDS: dict[Form, str] = {"adjective": "adjectives", "noun": "nouns", "phrase": "phrases", "opposite": "opposites"}
_CONTRARY = {"less": "more", "more": "less", "least": "most", "most": "least"}
_HELD_OUT_FROM = 3  # words of a list: the last one is held out
#: What a principle is about: the harm at hand, harm in general, another harm, a manner, several at once.
_SUBJECTS = {"own": 0.3, GENERAL: 0.2, "other": 0.2, "manner": 0.18, "several": 0.12}
_HARMLESS_SUBJECTS = {GENERAL: 0.12, "own": 0.1, "other": 0.1, "manner": 0.6, "several": 0.08}
_MANNER_WEIGHTS = {
    "evasive": 4, "preachy": 4, "mistaken": 4, "unhelpful": 4, "off_topic": 2, "overcautious": 2, "constructive": 2,
    "reasoned": 2, "polite": 1, "cautious": 2, "warm": 1, "wordy": 1.5, "nothing": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Word:
    """A name of a criterion, or of its contrary (`opposite`)."""

    text: str
    form: Form
    split: Split


@dataclass(frozen=True)
class Principle:
    """A principle with its truth. `polarity` is what it asks of its criteria, `asked` what its wording says.

    `texts` is a question, or a request for a critique and one for a revision.
    """

    criteria: tuple[str, ...]
    words: tuple[str, ...]
    form: Form
    polarity: Polarity
    asked: Polarity
    texts: tuple[str, ...]

    @property
    def wording(self) -> Wording:
        """Which frames the words go into: contraries are adjectives."""
        return wording_of(self.form)

    @property
    def x(self) -> str:
        """The words as they stand in the principle."""
        return joined(self.words)


def wording_of(form: Form) -> Wording:
    """Return which frames words of a form go into."""
    return "adjective" if form == "opposite" else form


def joined(words: Sequence[str]) -> str:
    """Write `a` or `a or b`."""
    return " or ".join(words)


@cache
def words_of(criterion: str) -> tuple[Word, ...]:
    """Return the words for a criterion."""
    harm = lexicon().harms.get(criterion)
    told: dict[str, Any] = raw(f"harms/{criterion}") if harm else raw("principles")["criteria"][criterion]
    found = []
    for form, field in _FIELDS.items():
        texts = told.get(field, ())
        for text in texts:
            out = len(texts) >= _HELD_OUT_FROM and text == texts[-1]
            found.append(Word(text, form, "held_out" if out or (harm and harm.held_out) else "train"))
    return tuple(found)


def words_for(criterion: str, split: str) -> list[Word]:
    """Return the words that a text of this split has: those held out in `wording`, of a held-out kind in `kind`."""
    harm = lexicon().harms.get(criterion)
    if harm is not None and harm.held_out:
        return list(words_of(criterion)) if split == "kind" else []
    return [word for word in words_of(criterion) if (word.split == "held_out") == (split == "wording")]


def _nameable(criteria: Sequence[str], split: str) -> list[str]:
    return [name for name in criteria if words_for(name, split)]


def draw_criteria(deed: Deed, rng: random.Random, split: str) -> list[str]:
    """Draw what a principle is about, for replies to a request for the deed."""
    subjects = _SUBJECTS if deed.harmful else _HARMLESS_SUBJECTS
    subject = rng.choices(list(subjects), list(subjects.values()))[0]
    own = deed.harm or deed.looks_like
    others = _nameable([name for name in lexicon().harms if name != own], split)
    if subject == "own" and own is not None and _nameable([own], split):
        return [own]
    if subject == "other" and others:
        return [rng.choice(others)]
    if subject == "several":
        pool = _nameable([*([own] if own else []), GENERAL], split)
        first = rng.choice(pool) if pool and rng.random() < 0.6 else rng.choice(others)
        rest = [name for name in (*others, *_nameable(MANNERS, split)) if name != first]
        return rng.sample([first, rng.choice(rest)], k=2)
    manners = _nameable(MANNERS, split)
    return rng.choices(manners, [_MANNER_WEIGHTS[name] for name in manners]) if subject == "manner" else [GENERAL]


def _draw_words(criteria: Sequence[str], rng: random.Random, split: str) -> tuple[Form, list[str]]:
    """Draw words of one form for all criteria; raises `ValueError` if they have none in common."""
    lists = [words_for(name, split) for name in criteria]
    shared = [form for form in _FIELDS if all(any(word.form == form for word in words) for words in lists)]
    if len(criteria) > 1 and "opposite" in shared:
        shared.remove("opposite")  # "neither rude nor long" is not "polite or short"
    if not shared:
        raise ValueError(f"no words of one form for {', '.join(criteria)} in the split {split!r}")
    form = rng.choice(shared)
    return form, [rng.choice([word.text for word in words if word.form == form]) for words in lists]


@cache
def question_frames(asked: Polarity, wording: Wording) -> tuple[Frame, ...]:
    """Return the questions for comparisons."""
    return frames_of(raw("principles")["questions"][asked][wording])


@cache
def request_pairs(asked: Polarity, wording: Wording) -> tuple[tuple[Frame, Frame], ...]:
    """Return the pairs of requests, for a critique and for a revision."""
    told = raw("principles")["critiques"][asked][wording]
    splits: tuple[Split, Split] = ("train", "held_out")
    return tuple((Frame(pair[0], split), Frame(pair[1], split)) for split in splits for pair in told[split])


def draw_principle(
    what: Literal["question", "requests"],
    deed: Deed,
    rng: random.Random,
    *,
    split: str = "train",
    criteria: Sequence[str] | None = None,
    polarity: Polarity | None = None,
    more_share: float = 0.5,
) -> Principle:
    """Draw a principle for replies to a request for the deed.

    `criteria` and `polarity` fix what it asks; else they are drawn, `more` with the given share.
    """
    while True:
        chosen = list(criteria) if criteria is not None else draw_criteria(deed, rng, split)
        try:
            form, words = _draw_words(chosen, rng, split)
        except ValueError:
            if criteria is not None:
                raise
            continue
        break
    wanted: Polarity = polarity or ("more" if rng.random() < more_share else "less")
    asked = _OTHER[wanted] if form == "opposite" else wanted
    x = joined(words)
    texts: tuple[str, ...]
    if what == "question":
        texts = (rng.choice(of_split(question_frames(asked, wording_of(form)), split)).fill(x=x),)
    else:
        held_out = "held_out" if split == "frame" else "train"
        pairs = [pair for pair in request_pairs(asked, wording_of(form)) if pair[0].split == held_out]
        critique, revision = rng.choice(pairs)
        texts = (critique.fill(x=x), revision.fill(x=x))
    return Principle(tuple(chosen), tuple(words), form, wanted, asked, texts)


def turned(question: Principle, rng: random.Random, *, split: str = "train") -> Principle:
    """Return the question that asks the contrary of the same words, in the same sentence if it says less or more."""
    asked = _OTHER[question.asked]
    text = _in_the_same_sentence(question, split) or rng.choice(_questions(question, asked, split))
    return replace(question, polarity=_OTHER[question.polarity], asked=asked, texts=(text,))


def says_less_or_more(question: Principle, *, split: str = "train") -> bool:
    """Tell whether the contrary can be asked in the same sentence, by one other word."""
    return _in_the_same_sentence(question, split) is not None


def _in_the_same_sentence(question: Principle, split: str) -> str | None:
    contrary = re.sub(r"\b(less|more|least|most)\b", lambda found: _CONTRARY[found[0]], question.texts[0])
    return contrary if contrary in _questions(question, _OTHER[question.asked], split) else None


def _questions(question: Principle, asked: Polarity, split: str) -> list[str]:
    return [frame.fill(x=question.x) for frame in of_split(question_frames(asked, question.wording), split)]
