"""Boilerplate by repeated word sequences."""

import pytest

from cai_kedro.metrics.boilerplate import boilerplate_shares

WARM = "you are valid and cared for"  # six words


def test_only_words_inside_a_repeated_sequence_count() -> None:
    texts = [f"{WARM} bake bread", f"{WARM} ride north", "one two three four five six"]
    assert boilerplate_shares(texts, ["a", "b", "c"]).tolist() == [pytest.approx(6 / 8), pytest.approx(6 / 8), 0]


def test_what_is_said_to_one_prompt_again_and_again_is_no_boilerplate() -> None:
    assert boilerplate_shares([WARM, WARM, WARM], ["a", "a", "a"]).tolist() == [0, 0, 0]
    assert boilerplate_shares([WARM, WARM], ["a", "b"]).tolist() == [1, 1]


def test_a_sequence_has_to_be_common() -> None:
    texts = [WARM, WARM, *(f"answer number {i} stands alone" for i in range(28))]
    prompts = [f"p{i}" for i in range(30)]
    assert boilerplate_shares(texts, prompts, common=0.1)[:2].tolist() == [0, 0]  # in 2 of 30, not in 3
    assert boilerplate_shares(texts, prompts, common=0.05)[:2].tolist() == [1, 1]


def test_shorter_sequences_find_more_and_short_answers_have_none() -> None:
    texts = ["we care for all of you", "we care for none of them", "we care", ""]
    prompts = ["a", "b", "c", "d"]
    assert boilerplate_shares(texts, prompts, n=3).tolist() == [0.5, 0.5, 0, 0]
    assert boilerplate_shares(texts, prompts, n=4).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(("n", "common", "prompts"), [(0, 0.1, ["a"]), (4, 0, ["a"]), (4, 1.1, ["a"]), (4, 0.1, [])])
def test_bad_arguments_are_refused(n: int, common: float, prompts: list[str]) -> None:
    with pytest.raises(ValueError, match="boilerplate needs n >= 1"):
        boilerplate_shares([WARM], prompts, n, common)
