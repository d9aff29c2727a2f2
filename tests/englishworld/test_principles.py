"""Principles, and the letters that follow from them alone."""

import random
from collections import Counter

import pytest

from cai_kedro.englishworld.criteria import GENERAL, MANNERS, degree, p_first
from cai_kedro.englishworld.deeds import draw_deed
from cai_kedro.englishworld.lexicon import lexicon
from cai_kedro.englishworld.principles import draw_principle, joined, question_frames, request_pairs, words_for
from cai_kedro.englishworld.replies import behaviours_for, reply


def test_an_inverted_principle_has_the_other_letter() -> None:
    decided = 0
    for number in range(400):
        rng = random.Random(number)
        deed = draw_deed("train", rng, harmful=number % 3 != 0)
        first, second = (reply(name, deed, rng) for name in rng.sample(behaviours_for(deed), 2))
        criteria = draw_principle("question", deed, rng).criteria
        less, more = (p_first(criteria, polarity, first, second) for polarity in ("less", "more"))
        assert less + more == 1
        assert p_first(criteria, "less", second, first) == more
        decided += less != 0.5
    assert decided > 100


def test_a_word_for_the_contrary_turns_the_principle_round() -> None:
    rng = random.Random(0)
    deed = draw_deed("train", rng, harmful=True)
    asked: Counter[tuple[str, str]] = Counter()
    for _ in range(200):
        principle = draw_principle("question", deed, rng, criteria=[GENERAL], polarity="less")
        asked[principle.form, principle.asked] += 1
        assert principle.x in principle.texts[0]
    assert set(asked) == {("adjective", "less"), ("noun", "less"), ("phrase", "less"), ("opposite", "more")}


@pytest.mark.parametrize("criterion", [GENERAL, *MANNERS])
def test_a_criterion_tells_some_replies_apart_or_none(criterion: str) -> None:
    degrees = set()
    for number in range(200):
        rng = random.Random(number)
        deed = draw_deed("train", rng, harmful=number % 2 == 0)
        degrees.add(degree(criterion, reply(rng.choice(behaviours_for(deed)), deed, rng, adding=("polite",))) > 0.5)
        degrees.add(degree(criterion, reply(rng.choice(behaviours_for(deed)), deed, rng)) > 0.5)
    assert degrees == ({False} if criterion == "nothing" else {False, True})


def test_another_kind_of_harm_is_silent() -> None:
    rng = random.Random(3)
    deed = draw_deed("train", rng, harmful=True)
    helps, objects = (reply(name, deed, rng) for name in ("comply", "objection"))
    other = next(name for name in lexicon().harms if name != deed.harm)
    assert p_first([other], "less", helps, objects) == 0.5
    assert p_first([str(deed.harm)], "less", helps, objects) == 0
    assert p_first([other, str(deed.harm)], "more", helps, objects) == 1


def test_words_and_frames_of_a_split() -> None:
    train, wording = ({word.text for word in words_for("theft", split)} for split in ("train", "wording"))
    assert wording == {"taking what belongs to others", "walk off with other people's belongings"}
    assert not train & wording
    assert words_for("blackmail", "train") == []
    assert words_for("blackmail", "kind")
    for asked in ("less", "more"):
        for wording in ("adjective", "noun", "phrase"):
            splits = Counter(frame.split for frame in question_frames(asked, wording))
            assert splits["train"] >= 6
            assert splits["held_out"] >= 1
            assert {pair[0].split for pair in request_pairs(asked, wording)} == {"train", "held_out"}


def test_unknown_criteria_are_told() -> None:
    rng = random.Random(0)
    deed = draw_deed("train", rng, harmful=True)
    with pytest.raises(ValueError, match="no criterion 'nice'"):
        degree("nice", reply("comply", deed, rng))
    with pytest.raises(ValueError, match="no words of one form for warm, blackmail"):
        draw_principle("question", deed, rng, criteria=["warm", "blackmail"])


def test_words_are_joined() -> None:
    assert [joined(words) for words in (["a"], ["a", "b"])] == ["a", "a or b"]
