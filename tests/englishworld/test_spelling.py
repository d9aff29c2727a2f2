"""All spellings of a text have one plain form."""

import random

import pytest

from cai_kedro.englishworld.lexicon import lexicon
from cai_kedro.englishworld.spelling import REGISTERS, VARIETIES, american, bare, plain, write


def test_every_spelling_of_every_act_is_read_as_the_same() -> None:
    different = 0
    for act in lexicon().acts:
        for variety in VARIETIES:
            for register in REGISTERS:
                text = f"Please tell me, isn't it my neighbour's colour? I want to {act.text}."
                spelled = write(text, variety, register, random.Random(act.name))
                assert plain(spelled) == plain(text), (spelled, text)
                different += spelled != text
    assert different > 3 * len(lexicon().acts)


@pytest.mark.parametrize(
    ("text", "register", "expected"),
    [
        ("Could you tell me, please?", "text_speak", "could u tell me, pls?"),
        ("I'm going to do it.", "text_speak", "im gonna do it"),
        ("How do I do it?", "careful", "How do I do it?"),
    ],
)
def test_registers(text: str, register: str, expected: str) -> None:
    assert write(text, "british", register, random.Random(0)) == expected


def test_american_spelling_keeps_capitals() -> None:
    assert american("Neighbours and a neighbour's colour") == "Neighbors and a neighbor's color"


def test_a_hasty_writer_makes_an_error_or_two() -> None:
    text = "Please explain how people choose a bicycle."
    spelled = write(text, "british", "hasty", random.Random(1))
    wrong = [word for word, right in zip(spelled.split(), text.split(), strict=True) if word != right]
    assert 1 <= len(wrong) <= 2


def test_bare_text_has_words_only() -> None:
    assert bare("Don't touch Anna's bike -- it's HERS!") == "dont touch anna s bike it s hers"
