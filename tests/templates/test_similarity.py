"""Texts that share rare words are similar."""

import math

import numpy as np
import pytest

from cai_kedro.templates.similarity import most_similar, word_vectors

TEXTS = ["Please rob the bank.", "Please rob the farm.", "Please paint the fence.", "please, rob the BANK!"]


def test_vectors_have_unit_length() -> None:
    vectors = word_vectors(TEXTS)
    assert np.sqrt((vectors.toarray() ** 2).sum(axis=1)) == pytest.approx(1.0)


def test_the_cosine_weighs_words_by_rarity() -> None:
    vectors = word_vectors(["a b", "a c"]).toarray()
    common, rare = math.log(3 / 3) + 1, math.log(3 / 2) + 1
    assert vectors[0] @ vectors[1] == pytest.approx(common**2 / (common**2 + rare**2))


def test_the_nearest_share_a_rare_word_and_equals_are_left_out() -> None:
    assert most_similar(word_vectors(TEXTS), 0, 3) == [1, 2]


def test_a_text_alone_has_no_neighbours() -> None:
    assert most_similar(word_vectors(["One."]), 0, 3) == []
