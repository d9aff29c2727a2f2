"""Signs of collapse, on replies made up so that the figures are known."""

import pandas as pd
import pytest

from cai_kedro.metrics.collapse import (
    BEGINNING,
    CollapseLimits,
    collapse_faults,
    collapse_of,
    collapse_sentence,
    most_alike,
    repeated_shares,
)

LIMITS = CollapseLimits(max_repeated_rise=0.2, max_alike_rise=0.4, min_length=0.25, max_length=4.0)
N = 20


def replies(texts: list[str], tokens: float = 10) -> pd.DataFrame:
    return pd.DataFrame({"response": texts, "tokens": [tokens] * len(texts)})


START = replies([f"Bake loaf {i}. Let it rest, then eat it." for i in range(N)])


def faults(texts: list[str], tokens: float = 10) -> list[str]:
    return collapse_faults(collapse_of(replies(texts, tokens)), collapse_of(START), LIMITS)


def test_a_sentence_counts_that_stands_in_the_same_reply_before() -> None:
    # of four sentences two are there before, whatever their case and signs; another reply does not matter; none: 0
    texts = ["Stop it. Bake bread. stop it! Stop it.", "Stop it.", "", "…"]
    assert repeated_shares(texts).tolist() == [0.5, 0.0, 0.0, 0.0]


def test_replies_begin_alike_by_their_first_words() -> None:
    first = " ".join(f"w{i}" for i in range(BEGINNING))
    assert most_alike([f"{first} and this", f"{first.upper()}, and that", "w0 w1", "other"]) == 2
    assert most_alike(["I don't know.", "I don’t know", "I don't know you"]) == 2
    assert most_alike([]) == 0


def test_replies_like_those_of_the_start_have_not_collapsed() -> None:
    assert faults(list(START["response"])) == []
    assert collapse_of(START).columns(collapse_of(START)) == {"repeated_sentences": 0.0, "alike": 0.05, "length": 1.0}


@pytest.mark.parametrize(
    ("texts", "tokens", "told"),
    [
        (
            ["Eat it. Eat it."] + [f"Eat {i}. Eat {i}." for i in range(N - 1)],
            10,
            "sentences said twice in a reply 0.50",
        ),
        (["I can't help."] * 10 + [f"Bake {i}." for i in range(10)], 10, "replies with the same first 8 words 0.50 ["),
        ([f"Bake {i}." for i in range(N)], 2.4, r"reply length 2.40 [2.40, 2.40] (n = 20) tokens, not within 0.25 and"),
        ([f"Bake {i}." for i in range(N)], 40.1, "reply length 40.10"),
    ],
)
def test_each_sign_of_collapse_is_told_with_its_figure(texts: list[str], tokens: float, told: str) -> None:
    (fault,) = faults(texts, tokens)
    assert told in fault


def test_a_rise_counts_and_not_the_share_itself() -> None:
    """A start policy that says much twice is not made better by a limit on those that come from it."""
    twice = replies(["Eat it. Eat it."] * N)
    assert collapse_faults(collapse_of(twice), collapse_of(twice), LIMITS) == []


def test_lengths_at_the_limits_are_within_them() -> None:
    assert faults([f"Bake {i}." for i in range(N)], 2.5) == faults([f"Bake {i}." for i in range(N)], 40) == []


def test_one_sentence_says_what_has_collapsed() -> None:
    choice = pd.DataFrame(
        {"step": [0, 4, 8], "collapsed": [False, True, False], "kept": [False, False, True], "why": ["", "loops", ""]}
    )
    assert collapse_sentence("a", choice) == "a has collapsed in 1 of 2 snapshots, they are not kept: step 4 (loops)"
    insisted = choice.assign(kept=[False, True, False])
    assert "one of them is kept all the same, as rlhf.snapshots.keep says: step 4" in collapse_sentence("a", insisted)
    assert collapse_sentence("a", choice.assign(collapsed=False)) == ""
