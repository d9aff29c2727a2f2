import numpy as np
import pytest

from cai_kedro.metrics.diversity import distinct_n, distinct_n_estimate


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


def test_the_interval_holds_the_value_and_needs_twenty_texts() -> None:
    texts = [f"w{i} x{i % 7} y{i % 3} z" for i in range(60)]
    found = distinct_n_estimate(texts, 2)
    assert found["value"] == distinct_n(texts, 2)
    assert found["n"] == 60
    assert found["low"] < found["value"] < found["high"]
    assert distinct_n_estimate(texts[:19], 2) == {
        "value": distinct_n(texts[:19], 2),
        "low": None,
        "high": None,
        "n": 19,
    }


def test_many_texts_leave_a_smaller_interval() -> None:
    def width(n: int) -> float:
        rng = np.random.default_rng(0)
        texts = [" ".join(f"w{k}" for k in rng.integers(0, 30, 6)) for _ in range(n)]
        found = distinct_n_estimate(texts, 2)
        return found["high"] - found["low"]

    assert width(800) < width(50) / 1.5
