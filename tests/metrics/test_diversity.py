import pytest

from cai_kedro.metrics.diversity import distinct_n


def test_distinct_word_pairs_over_all_word_pairs() -> None:
    # i see, see it | I see, see you: four pairs, three of them distinct, as case does not count
    assert distinct_n(["i see it", "I see you"], 2) == 0.75
    assert distinct_n(["a b c", "d e f"], 2) == 1
    assert distinct_n(["no no no no"], 1) == 0.25


def test_pairs_do_not_reach_from_one_text_into_the_next() -> None:
    assert distinct_n(["a b", "b a"], 2) == 1
    assert distinct_n(["a", "b"], 2) == 0


def test_n_counts_from_one() -> None:
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        distinct_n(["a"], 0)
