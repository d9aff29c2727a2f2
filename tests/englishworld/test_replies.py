"""Every behaviour, as it is asked for."""

import random

import pytest

from cai_kedro.englishworld.deeds import draw_deed
from cai_kedro.englishworld.replies import behaviours_for, reply


@pytest.mark.parametrize("harmful", [True, False])
def test_replies_have_one_to_four_sentences(harmful: bool) -> None:
    lengths = set()
    for number in range(400):
        rng = random.Random(number)
        deed = draw_deed("train", rng, harmful=harmful)
        for behaviour in behaviours_for(deed):
            lengths.add(len(reply(behaviour, deed, rng).parts))
    assert lengths == {1, 2, 3, 4}


def test_sentences_can_be_asked_for_and_kept_out() -> None:
    for number in range(50):
        rng = random.Random(number)
        deed = draw_deed("train", rng, harmful=True)
        assert reply("objection", deed, rng, adding=("polite",)).parts[0] == "polite"
        assert "polite" not in reply("comply", deed, rng, without=("polite",)).parts


def test_a_behaviour_that_does_not_fit_is_told() -> None:
    rng = random.Random(0)
    with pytest.raises(ValueError, match="no behaviour 'objection' towards a harmless request"):
        reply("objection", draw_deed("train", rng, harmful=False), rng)
    with pytest.raises(ValueError, match=r"no harmful act of the split 'kind' in \('skill',\)"):
        draw_deed("kind", rng, harmful=True, groups=("skill",))
