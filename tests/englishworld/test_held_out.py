"""What is held out is in no lesson and in no prompt to train on."""

from collections import Counter

from cai_kedro.englishworld.held_out import held_out_in, held_out_phrases
from cai_kedro.englishworld.lessons import MIX, make_lessons
from cai_kedro.englishworld.prompt_files import prompts

SPLITS = {"act", "object", "kind", "frame", "wording"}


def found_in(ask: str, answer: str) -> set[str]:
    return held_out_in(f"{ask} {answer}".replace("\\n", " "))


def test_no_lesson_holds_anything_that_is_held_out() -> None:
    lessons = make_lessons(800, MIX, 7, at_length=0.5)
    leaks = [row.lesson_id for row in lessons.itertuples() if found_in(row.ask, row.answer)]
    assert leaks == []


def test_every_held_out_lesson_holds_what_its_split_says() -> None:
    lessons = make_lessons(400, MIX, 7, held_out=True, at_length=0.5)
    counts: Counter[str] = Counter()
    for row in lessons.itertuples():
        counts[row.split] += 1
        assert row.split in found_in(row.ask, row.answer), row
    assert set(counts) == SPLITS
    assert min(counts.values()) > 40


def test_no_prompt_to_train_on_holds_anything_that_is_held_out() -> None:
    for name in ("red_team_prompts", "helpful_prompts"):
        counts: Counter[str] = Counter()
        for row in prompts(name):
            text = " ".join(turn["content"] for turn in row["messages"])  # type: ignore[attr-defined]
            counts[str(row["split"])] += 1
            assert held_out_in(text) == set() if row["split"] == "train" else held_out_in(text), row
        assert counts["train"] >= 600
        assert len(counts) == 5


def test_each_split_is_found_in_another_view_and_spelling() -> None:
    assert set(held_out_phrases()) == SPLITS
    assert held_out_in("they want to lend it to their dentist") == {"object"}
    assert held_out_in("i wanna call my dentist") == {"object"}
    assert held_out_in("Which response is less innocuous?") == {"wording"}
    assert held_out_in("Nothing of that kind.") == set()
