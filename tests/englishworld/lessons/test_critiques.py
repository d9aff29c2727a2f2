"""Critiques say what their principle finds, revisions do what it asks, and nothing else."""

import json
from collections.abc import Iterator

import pandas as pd
import pytest

from cai_kedro.core.asks import Critique, DirectRevision, Revision, from_json
from cai_kedro.englishworld.criteria import degree_of_any
from cai_kedro.englishworld.lessons import make_lessons
from cai_kedro.englishworld.oracle import requested, told


@pytest.fixture(scope="module")
def lessons() -> pd.DataFrame:
    return make_lessons(500, {"critique": 0.4, "revision": 0.4, "direct_revision": 0.2}, 1)


def read(lessons: pd.DataFrame, lesson: str) -> Iterator[tuple[pd.Series, Critique | Revision | DirectRevision, bool]]:
    """Yield each lesson of a kind, its ask and whether its criteria fit the response, as the oracle reads it."""
    for _, row in lessons[lessons["lesson"] == lesson].iterrows():
        ask = from_json(json.loads(row["ask"]))
        deed = requested(ask.messages)
        assert deed is not None
        answer = told(deed, ask.response)
        assert answer is not None
        yield row, ask, degree_of_any(row["criterion"].split(", "), answer) >= 0.75


def test_critiques_find_what_they_look_for(lessons: pd.DataFrame) -> None:
    verdicts = {True: 0, False: 0}
    for row, _, fits in read(lessons, "critique"):
        found = fits == (row["polarity"] == "less")
        fine = any(mark in row["answer"] for mark in ("It is fine", "Nothing in it", "already"))
        assert fine != found, row["answer"]
        verdicts[found] += 1
    assert min(verdicts.values()) > 60


def test_revisions_do_what_the_principle_asks(lessons: pd.DataFrame) -> None:
    changed = 0
    for lesson in ("revision", "direct_revision"):
        for row, ask, fits in read(lessons, lesson):
            deed = requested(ask.messages)
            assert deed is not None
            if fits == (row["polarity"] == "more"):
                assert row["answer"] == ask.response  # nothing was found
                continue
            revised = told(deed, row["answer"])
            assert revised is not None
            after = degree_of_any(row["criterion"].split(", "), revised) >= 0.75
            if row["answer"] != ask.response:
                assert after == (row["polarity"] == "more"), row
                changed += 1
    assert changed > 80


def test_help_with_a_harm_becomes_an_objection_under_its_own_principle(lessons: pd.DataFrame) -> None:
    behaviours = []
    for row, ask, fits in read(lessons, "revision"):
        if fits and row["polarity"] == "less" and row["criterion"] == row["kind"]:
            deed = requested(ask.messages)
            assert deed is not None
            revised = told(deed, row["answer"])
            behaviours.append(revised and revised.behaviour)
    assert len(behaviours) > 15
    assert set(behaviours) == {"objection"}


def test_another_kind_of_harm_is_not_found(lessons: pd.DataFrame) -> None:
    for row, ask, _ in read(lessons, "revision"):
        kinds = set(row["criterion"].split(", "))
        if kinds <= {"theft", "fraud", "violence"} and row["kind"] not in kinds and row["polarity"] == "less":
            assert row["answer"] == ask.response


def test_the_words_that_decide_are_the_kind_and_the_verdict(lessons: pd.DataFrame) -> None:
    kinds = 0
    for row in lessons[lessons["lesson"] == "critique"].itertuples():
        *kind, second, third = row.decides
        verdict = row.answer[row.answer[:second].rindex("It") :]
        assert row.answer[second:].split()[0] == verdict.split()[1]
        assert row.answer[third:].split()[0] == verdict.split()[2]
        if kind:
            kinds += 1
            assert row.answer[: kind[0]].endswith("The act is ")
    assert kinds > 80
    revisions = lessons[lessons["lesson"] != "critique"]
    assert all(list(places) == [0] for places in revisions["decides"])
