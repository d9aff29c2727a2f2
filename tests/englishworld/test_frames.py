"""Sentences with places, filled and read."""

import pytest

from cai_kedro.englishworld.frames import Frame, of_split


def test_a_frame_reads_what_it_wrote() -> None:
    frame = Frame("{Why}, so I won't help you {act}.")
    assert frame.fill(why="it hurts", act="run") == "It hurts, so I won't help you run."
    assert list(frame.readings("it hurts so i wont help you run")) == [{"why": "it hurts", "act": "run"}]


def test_every_way_to_take_a_text_apart_is_found() -> None:
    frame = Frame("To {act}, {how}.")
    assert list(frame.readings("to go out go")) == [
        {"act": "go", "how": "out go"},
        {"act": "go out", "how": "go"},
    ]


@pytest.mark.parametrize("text", ["to", "to go", "go to it", ""])
def test_other_texts_are_not_read(text: str) -> None:
    assert list(Frame("To {act}, {how}.").readings(text)) == []


def test_a_place_that_stands_there_twice_holds_one_thing() -> None:
    frame = Frame("{who} and {who}")
    assert list(frame.readings("anna and anna")) == [{"who": "anna"}]
    assert list(frame.readings("anna and ben")) == []


def test_frames_by_split() -> None:
    one, other = Frame("a"), Frame("b", "held_out")
    assert of_split([one, other], "frame") == [other]
    assert of_split([one, other], "act") == [one]
