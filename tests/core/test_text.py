"""Words and clauses."""

import pytest

from cai_kedro.core.text import before_a_repeat, clauses, words_of


def test_words_are_lower_case_and_keep_straight_apostrophes() -> None:
    assert words_of("I’m SORRY, I can't!") == ["i'm", "sorry", "i", "can't"]
    assert words_of(" … ") == []


def test_a_sentence_is_cut_where_it_turns() -> None:
    assert clauses("Sorry; I can't do that, but you could ask a doctor. Why?\nBye – now") == [
        "sorry", "i can't do that", "but you could ask a doctor", "why", "bye", "now",
    ]  # fmt: skip
    assert clauses("well-known, so far as I know") == ["well known", "so far as i know"]
    assert clauses("") == []


@pytest.mark.parametrize(
    ("text", "words", "kept"),
    [
        ("Do not do it. Do not do it. Go home.", 3, "Do not do it."),
        ("Do not do it. Go home; do NOT do it! Go.", 3, "Do not do it. Go home"),
        ("Yes. Yes. Yes.", 2, "Yes. Yes. Yes."),
        ("One clause alone.", 1, "One clause alone."),
        ("", 1, ""),
    ],
)
def test_a_text_before_it_repeats_itself(text: str, words: int, kept: str) -> None:
    assert before_a_repeat(text, words) == kept
