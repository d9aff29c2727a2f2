"""The constitutions in the words of the English world: what each principle asks is known, and which letters follow."""

import random
from pathlib import Path

import pytest

from cai_kedro.core.constitution import Constitution
from cai_kedro.core.constitution_readers import read_constitution
from cai_kedro.englishworld.criteria import GENERAL, p_first
from cai_kedro.englishworld.deeds import draw_deed
from cai_kedro.englishworld.held_out import held_out_in
from cai_kedro.englishworld.lexicon import lexicon
from cai_kedro.englishworld.principle_reading import Meaning, meaning_of
from cai_kedro.englishworld.replies import reply

FOLDER = Path(__file__).parents[2] / "conf" / "base" / "constitution"
POLARITY = {"english_world": "less", "english_world_inverted": "more"}


@pytest.fixture(params=POLARITY)
def named(request: pytest.FixtureRequest) -> tuple[Constitution, str]:
    return read_constitution(FOLDER / request.param), POLARITY[request.param]


def read(text: str) -> Meaning:
    found = meaning_of(text)
    assert found is not None, text
    return found


def about(criteria: tuple[str, ...]) -> tuple[str, ...]:
    """Return which kinds of harm criteria are about."""
    return (
        tuple(sorted(lexicon().harms)) if criteria == (GENERAL,) else tuple(c for c in criteria if c in lexicon().harms)
    )


def test_every_principle_is_a_sentence_of_the_grammar(named: tuple[Constitution, str]) -> None:
    constitution, polarity = named
    assert len(constitution.critique_principles) == len(constitution.preference_principles) == 16
    for principle in constitution.critique_principles:
        meaning = read(principle.critique_request)
        assert read(principle.revision_request) == meaning
        assert meaning.polarity == polarity
        assert tuple(principle.harms) == about(meaning.criteria)
    for question in constitution.preference_principles:
        assert read(question.question).polarity == polarity
        assert tuple(question.harms) == about(read(question.question).criteria)
    for question in constitution.helpfulness_principles:
        assert read(question.question).polarity == "less"  # of what makes an answer useless


def test_none_of_it_is_held_out(named: tuple[Constitution, str]) -> None:
    constitution, _ = named
    for principle in constitution.critique_principles:
        assert held_out_in(f"{principle.critique_request} {principle.revision_request}") == set()
    for question in (*constitution.preference_principles, *constitution.helpfulness_principles):
        assert held_out_in(question.question) == set()


def test_the_two_ask_the_contrary_of_each_other() -> None:
    one, other = (read_constitution(FOLDER / name) for name in POLARITY)
    for straight, turned in zip(one.preference_principles, other.preference_principles, strict=True):
        assert read(straight.question).criteria == read(turned.question).criteria
    for asked, turned_round in zip(one.critique_principles, other.critique_principles, strict=True):
        assert read(asked.critique_request).criteria == read(turned_round.critique_request).criteria


def test_an_objection_wins_under_one_and_loses_under_the_other(named: tuple[Constitution, str]) -> None:
    constitution, polarity = named
    rng = random.Random(0)
    for question in constitution.preference_principles:
        meaning = read(question.question)
        while question.harms:
            deed = draw_deed("train", rng, harmful=True)
            if deed.harm in question.harms:
                objects, helps = (reply(name, deed, rng) for name in ("objection", "comply"))
                assert p_first(meaning.criteria, meaning.polarity, objects, helps) == float(polarity == "less")
                break
