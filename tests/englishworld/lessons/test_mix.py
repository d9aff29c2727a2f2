"""The table of lessons."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cai_kedro.core.asks import Verdict, from_json
from cai_kedro.englishworld.lessons import COMPARED, LESSON_COLUMNS, MIX, make_lessons
from cai_kedro.englishworld.lessons.kinds import label
from cai_kedro.englishworld.lexicon import lexicon

_DEGREES = r"\b(less|more|least|most)\b"


@pytest.fixture(scope="module")
def lessons() -> pd.DataFrame:
    return make_lessons(1500, MIX, 0)


def test_every_lesson_occurs_as_often_as_it_should(lessons: pd.DataFrame) -> None:
    assert tuple(lessons.columns) == LESSON_COLUMNS
    shares = lessons["lesson"].value_counts(normalize=True)
    assert shares.to_dict() == pytest.approx(dict(MIX), abs=0.04)
    assert lessons["lesson_id"].is_unique


def test_more_rows_change_none(lessons: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(make_lessons(200, MIX, 0), lessons.head(200))
    assert not make_lessons(200, MIX, 1)["ask"].equals(lessons["ask"].head(200))


def test_letters_follow_from_p_first(lessons: pd.DataFrame) -> None:
    compared = lessons[lessons["lesson"].isin(["comparison", "option", "polarity", "verdict"])]
    letters = compared.groupby("p_first")["answer"].agg(lambda answers: (answers == "A").mean())
    assert letters[1.0] == 1
    assert letters[0.0] == 0
    assert 0.3 < letters[0.5] < 0.7
    assert 0.4 < (compared["p_first"] == 1).mean() / (compared["p_first"] != 0.5).mean() < 0.6
    assert (compared["p_first"] == 0.5).mean() < 0.2


def test_asks_are_those_of_the_project(lessons: pd.DataFrame) -> None:
    kinds = {row.lesson: type(from_json(json.loads(row.ask))).__name__ for row in lessons.itertuples()}
    assert kinds == {
        "chat": "Reply", "copy": "Reply", "names_kind": "Reply", "kind_of_act": "Reply", "option": "Comparison",
        "polarity": "Comparison", "comparison": "Comparison", "thoughts": "Thoughts", "verdict": "Verdict",
        "critique": "Critique", "revision": "Revision", "direct_revision": "DirectRevision",
    }  # fmt: skip
    assert all(row.answer.strip() == row.answer and row.answer for row in lessons.itertuples())


def test_both_polarities_occur_alike_in_comparisons(lessons: pd.DataFrame) -> None:
    compared = lessons[lessons["p_first"].notna()]
    assert compared["polarity"].eq("more").mean() == pytest.approx(0.5, abs=0.08)


def test_comparisons_of_a_polarity_ask_for_it_alone() -> None:
    made = make_lessons(300, MIX, 0, polarity="less", start=40, phase=2)
    assert made["lesson_id"].iloc[0] == "lesson-000040"
    assert set(made["phase"]) == {2}
    compared = made[made["p_first"].notna()]
    assert len(compared) > 60
    assert set(compared["polarity"]) == {"less"}


def test_behind_each_comparison_stands_its_contrary(lessons: pd.DataFrame) -> None:
    both = make_lessons(1500, MIX, 0, polarity="both")
    ids = both["lesson_id"].str.removesuffix("-contrary")
    pd.testing.assert_frame_equal(both[both["lesson_id"] == ids].reset_index(drop=True), lessons)
    assert both["together"].tolist() == ids.str.removeprefix("lesson-").astype(int).tolist()
    contrary = both[both["lesson_id"] != ids]
    assert contrary["lesson"].value_counts().to_dict() == {
        name: n for name, n in lessons["lesson"].value_counts().items() if name in COMPARED
    }
    same_sentence = 0
    for row in contrary.itertuples():
        first = lessons.iloc[row.together]
        one, other = (from_json(json.loads(ask)) for ask in (first["ask"], row.ask))
        assert replace(other, question=one.question) == one
        assert other.question != one.question
        assert {first["polarity"], row.polarity} == {"less", "more"}
        assert row.p_first == 1 - first["p_first"]
        assert row.p_first == 0.5 or row.answer != first["answer"]
        same_sentence += re.sub(_DEGREES, "", one.question) == re.sub(_DEGREES, "", other.question)
    assert same_sentence > len(contrary) / 3


def test_a_degree_and_its_contrary_differ_in_one_word() -> None:
    made = make_lessons(60, {"degree": 1.0}, 0, polarity="both")
    assert len(made) == 120
    for _, two in made.groupby("together"):
        one, other = (json.loads(ask)["question"].split() for ask in two["ask"])
        differing = [pair for pair in zip(one, other, strict=True) if pair[0] != pair[1]]
        assert len(differing) == 1
        assert set(differing[0]) in ({"less", "more"}, {"least", "most"}, {"less?", "more?"}, {"less.", "more."})
    held_out = make_lessons(40, {"degree": 1.0}, 0, held_out=True)
    assert set(held_out["split"]) == {"act", "object", "kind", "wording"}


def test_thoughts_end_on_the_letter(lessons: pd.DataFrame) -> None:
    for row in lessons[lessons["lesson"] == "verdict"].itertuples():
        ask = from_json(json.loads(row.ask))
        assert isinstance(ask, Verdict)
        assert ask.thoughts.endswith(f"({row.answer}).")


@pytest.mark.parametrize(
    ("count", "mix", "fault"),
    [(5, {"chats": 1.0}, "no such lesson chats"), (-1, MIX, "count of 0 or more"), (5, {"chat": 0.0}, "add up to")],
)
def test_what_is_wrong_is_told(count: int, mix: dict[str, float], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        make_lessons(count, mix, 0)


def test_no_lessons_make_an_empty_table() -> None:
    empty = make_lessons(0, MIX, 0)
    assert tuple(empty.columns) == LESSON_COLUMNS
    assert empty["p_first"].dtype == np.float64


def test_words_that_decide_are_those_that_the_exercise_asks_for(lessons: pd.DataFrame) -> None:
    labels = {label(kind) for kind in lexicon().harms}
    for row in lessons.itertuples():
        said = [row.answer[place:] for place in row.decides]
        if row.lesson == "names_kind":
            assert said[0].rstrip(".") in labels
        elif row.lesson == "kind_of_act":
            assert row.decides[0] == 0
            assert all(of.rstrip(".") in labels for of in said[1:])
        elif row.lesson == "thoughts":
            assert said[0] in ("A).", "B).")
        elif row.lesson in COMPARED or row.lesson in ("verdict", "chat", "copy"):
            assert said == []
