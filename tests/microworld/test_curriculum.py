"""A lesson ends when it is learned, or when its time is up; a training that goes on is in the same lesson."""

import pytest
from pydantic import ValidationError

from cai_kedro.microworld.curriculum import Curriculum, LessonParams
from cai_kedro.microworld.documents import Lesson


def _curriculum() -> Curriculum:
    lessons: dict[Lesson, LessonParams] = {
        "plain": LessonParams(least=5, most=5, until=0.0),
        "find": LessonParams(least=100, most=300, until=0.2),
        "recall": LessonParams(least=20, most=400, until=0.2),
        "echo": LessonParams(least=10, most=10, until=0.0),
        "compare": LessonParams(least=0, most=0, until=0.0),
    }
    return Curriculum(lessons)


def _train(curriculum: Curriculum, steps: range, learned_at: int) -> list[tuple[str, int]]:
    ended = []
    for step in steps:
        loss = 0.05 if step > learned_at else 0.6
        lesson = curriculum.observe(step, {} if step <= 10 else {"decisions": loss, "letters": 0.01})
        ended += [] if lesson is None else [(lesson, step)]
    return ended


def test_a_lesson_lasts_until_it_is_learned_in_the_order_of_the_lessons() -> None:
    curriculum = _curriculum()
    # learned at step 180; the mean over 50 steps is below 0.2 when 37 of them are
    assert _train(curriculum, range(1, 1001), 180) == [("echo", 10), ("find", 217), ("recall", 267), ("plain", 272)]
    told = [curriculum.lesson(step) for step in (0, 9, 10, 216, 217, 267, 272, 5000)]
    assert told == ["echo", "echo", "find", "find", "recall", "plain", "full", "full"]


def test_a_lesson_that_is_not_learned_ends_when_its_time_is_up() -> None:
    ended = _train(_curriculum(), range(1, 1001), 10_000)
    assert ended == [("echo", 10), ("find", 310), ("recall", 710), ("plain", 715)]


@pytest.mark.parametrize("killed", [5, 150, 200, 250, 275, 400])
def test_a_training_that_goes_on_is_in_the_same_lesson(killed: int) -> None:
    whole, first, again = _curriculum(), _curriculum(), _curriculum()
    ended = _train(whole, range(1, 501), 180)
    before = _train(first, range(1, killed + 1), 180)
    again.restore(first.state)
    assert before + _train(again, range(killed + 1, 501), 180) == ended
    assert [again.lesson(step) for step in range(501)] == [whole.lesson(step) for step in range(501)]


def test_a_lesson_of_letters_waits_for_these_alone() -> None:
    curriculum = Curriculum({"compare": LessonParams(least=60, most=300, until=0.2, of="letters")})
    ended = [curriculum.observe(step, {"decisions": 0.01} if step % 2 else {"letters": 0.1}) for step in range(1, 201)]
    assert ended.index("compare") == 99  # fifty of its hundred steps had a letter


def test_a_lesson_cannot_last_longer_than_its_most() -> None:
    with pytest.raises(ValidationError, match="a lesson of at least 5 steps cannot end after 4; raise `most`"):
        LessonParams(least=5, most=4, until=0.1)
