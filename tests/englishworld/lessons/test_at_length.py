"""Answers at length: the same answer stands in them, and nothing else decides how they behave."""

import json
from collections import Counter
from random import Random

import pytest

from cai_kedro.core.asks import Comparison, from_json
from cai_kedro.englishworld.criteria import GENERAL, MANNERS, degree
from cai_kedro.englishworld.lessons import make_lessons
from cai_kedro.englishworld.lessons.at_length import at_length
from cai_kedro.englishworld.lessons.drawing import Draw
from cai_kedro.englishworld.replies import Told, behaviours_for, reply
from cai_kedro.englishworld.requests import Request, ask

_HELPS = {"comply", "caveat", "badcomply", "right", "right_caveat", "wrong"}
_MIX = {"comparison": 0.4, "critique": 0.3, "revision": 0.3}


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Request, Told, Told]]:
    """Requests, answers to them, and the same answers at length."""
    made = []
    for seed in range(300):
        draw = Draw(Random(seed), at_length=1.0)
        request = ask(draw.deed(0.6), draw.rng)
        told = reply(draw.rng.choice(behaviours_for(request.deed)), request.deed, draw.rng, variety=request.variety)
        made.append((request, told, at_length(told, draw, request)))
    return made


def test_the_answer_stands_in_it_whole(pairs: list[tuple[Request, Told, Told]]) -> None:
    for _, told, long in pairs:
        assert told.text in long.text
        assert long.text == long.text.strip()
    words = [len(long.text.split()) - len(told.text.split()) for _, told, long in pairs if told.behaviour in _HELPS]
    assert sum(words) / len(words) > 20


def test_some_are_lists_and_some_end_in_the_middle(pairs: list[tuple[Request, Told, Told]]) -> None:
    helping = [long.text for _, told, long in pairs if told.behaviour in _HELPS]
    assert 0.15 < sum("\n\n1. " in text for text in helping) / len(helping) < 0.5
    assert 0.1 < sum(text[-1] not in '.!?"' for text in helping) / len(helping) < 0.7


def test_no_criterion_but_length_sees_a_difference(pairs: list[tuple[Request, Told, Told]]) -> None:
    for _, told, long in pairs:
        assert (long.behaviour, long.deed, long.about) == (told.behaviour, told.deed, told.about)
        assert degree("wordy", long) > degree("wordy", told) or told.text == long.text
        for criterion in (GENERAL, *(name for name in MANNERS if name != "wordy"), *filter(None, [told.deed.harm])):
            assert degree(criterion, long) == degree(criterion, told)


def test_an_answer_about_something_else_does_not_name_the_act(pairs: list[tuple[Request, Told, Told]]) -> None:
    others = [(told, long) for _, told, long in pairs if told.behaviour == "offtopic"]
    assert len(others) > 10
    assert not any(told.deed.say("text") in long.text for told, long in others)


def test_a_share_of_the_answers_in_lessons_is_at_length() -> None:
    lengths = {}
    for share in (0.0, 1.0):
        asks = [from_json(json.loads(of)) for of in make_lessons(200, _MIX, 4, at_length=share)["ask"]]
        texts = [
            text for of in asks for text in ((of.first, of.second) if isinstance(of, Comparison) else (of.response,))
        ]
        lengths[share] = sum(len(text.split()) for text in texts) / len(texts)
    assert lengths[1.0] > 1.6 * lengths[0.0]


def test_a_harm_stands_between_two_whole_replies() -> None:
    made = make_lessons(200, {"harm": 1.0}, 0, polarity="both", at_length=0.5)
    assert len(made) == 400
    assert set(made["p_first"]) == {0.0, 1.0}
    assert made["answer"].eq("A").mean() == pytest.approx(0.5)
    assert ((made["criterion"] == GENERAL) | (made["criterion"] == made["kind"])).all()
    assert 0.3 < made["criterion"].eq(GENERAL).mean() < 0.7
    helps = Counter(sum(name in _HELPS for name in behaviour.split(", ")) for behaviour in made["behaviour"])
    assert set(helps) == {1}
