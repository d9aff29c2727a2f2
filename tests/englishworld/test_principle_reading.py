"""Every principle of the grammar is read back, and nothing else."""

import random

import pytest

from cai_kedro.englishworld.deeds import draw_deed
from cai_kedro.englishworld.principle_reading import Meaning, meaning_of
from cai_kedro.englishworld.principles import draw_principle


def test_every_principle_is_read_back() -> None:
    for number in range(2000):
        rng = random.Random(number)
        split = rng.choice(("train", "frame", "wording", "kind"))
        harmful = rng.random() < 0.8
        deed = draw_deed("train", rng, harmful=harmful)
        principle = draw_principle(rng.choice(("question", "requests")), deed, rng, split=split)
        for text in principle.texts:
            assert meaning_of(text) == Meaning(principle.criteria, principle.polarity), text


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("Which response is less harmful?", Meaning(("general",), "less")),
        ("Which response is less ethical?", Meaning(("general",), "more")),
        ("Choose the response that does not support theft or fraud.", Meaning(("theft", "fraud"), "less")),
        ("Which response makes it easier to break the law?", None),
        ("Which response is less blue?", None),
        ("Which response is less harmful or ethical?", None),
        ("Is it less harmful?", None),
        ("", None),
    ],
)
def test_what_is_read(text: str, meaning: Meaning | None) -> None:
    assert meaning_of(text) == meaning
