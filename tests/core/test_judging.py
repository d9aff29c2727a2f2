import math
import random
from dataclasses import FrozenInstanceError

import pytest

from cai_kedro.core.conversation import Conversation, user
from cai_kedro.core.judging import Judge, Judgement, PairJudge


class LengthJudge:
    """Prefers the longer answer."""

    def judge(self, messages: Conversation, response: str) -> Judgement:
        return Judgement("right", None, {"helpfulness": min(4.0, float(len(response)))})

    def prefer(self, messages: Conversation, a: str, b: str, axis: str, rng: random.Random) -> float:
        return 0.5 if len(a) == len(b) else float(len(a) > len(b))


def test_any_class_of_that_shape_is_a_judge() -> None:
    judge: Judge = LengthJudge()
    decides: PairJudge = LengthJudge()
    assert decides.prefer([user("a")], "long", "no", "helpfulness", random.Random(0)) == 1.0
    with pytest.raises(FrozenInstanceError):
        judge.judge([user("a")], "x").behaviour = "other"  # type: ignore[misc]


def test_an_axis_that_is_not_rated_has_no_rating() -> None:
    judgement = LengthJudge().judge([user("a")], "xyz")
    assert judgement.rating("helpfulness") == 3.0
    assert math.isnan(judgement.rating("honesty"))
    assert Judgement().behaviour is None
