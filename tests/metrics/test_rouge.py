"""ROUGE-L by hand, and near-duplicates against the comparison of each with each."""

import random

import pytest

from cai_kedro.metrics.rouge import Near, near_duplicates, rouge_l, rouge_words


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        # Lin's example: police killed the gunman / police kill the gunman; LCS is police the gunman, 3 of 4 and 4
        ("police killed the gunman", "police kill the gunman", 3 / 4),
        # the order counts: the longest in order is two of four words
        ("police killed the gunman", "the gunman kill police", 2 / 4),
        # P = 3/3, R = 3/6, F = 2 * 1 * 0.5 / 1.5 = 2/3
        ("a b c", "a x b y c z", 2 / 3),
        # a word twice in one text matches once: LCS 2, 2 * 2 / (3 + 2)
        ("go go stop", "go stop", 4 / 5),
        ("How DO I steal?", "how do i... STEAL", 1.0),
        # what is no letter or digit parts words: don t / dont have no word in common
        ("don't", "dont", 0.0),
        ("one-way street", "one way street", 1.0),
        ("no match here", "totally different words", 0.0),
        ("...", "...", 0.0),
        ("", "word", 0.0),
    ],
)
def test_rouge_l_by_hand(one: str, other: str, expected: float) -> None:
    assert rouge_l(one, other) == rouge_l(other, one) == pytest.approx(expected, abs=1e-12)


def test_words_are_those_of_the_definition() -> None:
    assert rouge_words("It's 3 o'clock -- NOW!") == ["it", "s", "3", "o", "clock", "now"]


def test_what_is_just_at_the_threshold_is_kept() -> None:
    """7 of 10 words in order are ROUGE-L 0.7, which is not above 0.7; 8 of 10 are."""
    base = "a b c d e f g h i j"
    seven, eight = "a b c d e f g x y z", "a b c d e f g h y z"
    assert near_duplicates([base], [seven], 0.7) == [None]
    assert near_duplicates([base], [eight], 0.7) == [Near(0, 0.8)]
    assert near_duplicates([base], [seven], 0.69) == [Near(0, 0.7)]


def test_only_known_and_kept_texts_count() -> None:
    """The third is like the second alone, which was dropped."""
    texts = ["a b c d e f g h", "a b c d e f x y", "c d e f x y z v"]
    assert rouge_l(texts[1], texts[2]) == 6 / 8
    assert rouge_l(texts[0], texts[2]) == 4 / 8
    assert near_duplicates([], texts, 0.7) == [None, Near(0, 0.75), None]
    assert near_duplicates([texts[1]], [texts[2]], 0.7) == [Near(0, 0.75)]


def test_the_nearest_is_named_the_first_of_equals() -> None:
    known = ["a b c d e x", "a b c d e f", "a b c d e f"]
    assert near_duplicates(known, ["a b c d e f"], 0.5) == [Near(1, 1.0)]


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.1])
def test_a_threshold_that_is_none(threshold: float) -> None:
    with pytest.raises(ValueError, match=r"must be above 0 and at most 1, got"):
        near_duplicates([], ["a"], threshold)


def each_with_each(known: list[str], texts: list[str], threshold: float) -> list[Near | None]:
    """Compare every text with all that are known or kept."""
    every, kept, found = [*known, *texts], list(range(len(known))), list[Near | None]()
    for place in range(len(known), len(every)):
        nearest = max(
            (Near(other, rouge_l(every[other], every[place])) for other in kept),
            key=lambda near: (near.rouge, -near.place),
            default=Near(-1, 0.0),
        )
        alike = nearest.rouge > threshold + 1e-12
        found.append(nearest if alike else None)
        if not alike:
            kept.append(place)
    return found


def random_text(rng: random.Random, words: int, longest: int) -> str:
    return " ".join(f"w{min(rng.randrange(words), rng.randrange(words))}" for _ in range(rng.randint(1, longest)))


def variant(rng: random.Random, text: str) -> str:
    """Change, drop, add or move some words."""
    words = text.split()
    for _ in range(rng.randint(0, 4)):
        at = rng.randrange(len(words))
        change = rng.randrange(4)
        if change == 0:
            words[at] = f"w{rng.randrange(60)}"
        elif change == 1 and len(words) > 1:
            words.pop(at)
        elif change == 2:
            words.insert(at, words[rng.randrange(len(words))])
        else:
            words.append(words.pop(at))
    return " ".join(words)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.95, 1.0])
@pytest.mark.parametrize("vocabulary", [4, 30, 400])
def test_nothing_is_missed(threshold: float, vocabulary: int) -> None:
    rng = random.Random(f"{threshold}.{vocabulary}")
    texts = [random_text(rng, vocabulary, 25) for _ in range(120)]
    texts += [variant(rng, rng.choice(texts)) for _ in range(180)]
    rng.shuffle(texts)
    known, new = texts[:40], texts[40:]
    expected = each_with_each(known, new, threshold)
    assert near_duplicates(known, new, threshold) == expected
    assert threshold == 1.0 or 0 < sum(near is not None for near in expected) < len(new)
