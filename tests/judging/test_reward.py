"""The labeller's judgement as a reward, on a labeller whose taste is known."""

import logging
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from cai_kedro.core.asks import Ask
from cai_kedro.core.conversation import user
from cai_kedro.engines.base import PromptTooLongError
from cai_kedro.judging.comparer import Case
from cai_kedro.judging.reward import LabellerReward
from tests.conftest import ScriptedEngine
from tests.judging.test_comparer import taste

CASES = {f"p{i}": Case([user(f"Question {i}?")], "", f"bad {i}", "Which?") for i in range(3)}


def reward(engine: ScriptedEngine, max_log_odds: float = 4.0) -> LabellerReward:
    return LabellerReward(engine, CASES, max_log_odds)


def test_a_reward_is_the_log_odds_against_the_reference_of_its_own_prompt() -> None:
    engine = ScriptedEngine(prefer=taste(good=4, first=3))
    found = reward(engine).score(["p0", "p2"], ["good 0", "good 2"])
    # P(good) is 12 / 13 where it stands first and 4 / 7 where it stands second
    p = (12 / 13 + 4 / 7) / 2
    assert found.tolist() == pytest.approx([math.log(p / (1 - p))] * 2)
    assert len(engine.prompts) == 4
    assert all("bad 2" in prompt for prompt in engine.prompts if "Question 2" in prompt)


def test_a_worse_reply_has_a_reward_below_0_and_odds_are_clamped() -> None:
    swapped = {name: replace(case, b=case.b.replace("bad", "good")) for name, case in CASES.items()}
    engine = ScriptedEngine(prefer=taste(good=1e6, first=1))
    assert LabellerReward(engine, swapped, 3.0).score(["p0"], ["bad 0"]).tolist() == [-3.0]
    assert reward(engine, 3.0).score(["p0"], ["good 0"]).tolist() == [3.0]
    certain = ScriptedEngine(prefer=lambda prompt: (0.0, -np.inf))
    assert reward(certain).score(["p0"], ["good 0"]).tolist() == [0.0], "always the first one: no preference"

    def right(prompt: str) -> tuple[float, float]:
        return (0.0, -np.inf) if prompt.rindex("good") < prompt.rindex("bad") else (-np.inf, 0.0)

    assert reward(ScriptedEngine(prefer=right)).score(["p0"], ["good 0"]).tolist() == [4.0]


def test_nobody_is_asked_about_the_reference_itself_an_empty_reply_or_the_same_twice() -> None:
    engine = ScriptedEngine(prefer=taste(good=4, first=1))
    found = reward(engine).score(["p0", "p0", "p0", "p0"], ["bad 0", " ", "good 0", "good 0"])
    assert found.tolist() == pytest.approx([0.0, -4.0, math.log(4), math.log(4)])
    assert len(engine.prompts) == 2
    assert reward(engine).score(["p1"], [""]).tolist() == [-4.0]


class Narrow(ScriptedEngine):
    """It reads no comparison that holds the word `long`."""

    def choice_logprobs(self, asks: Sequence[Ask]) -> np.ndarray:
        rows = [row for row, ask in enumerate(asks) if "long" in str(ask)]
        if rows:
            raise PromptTooLongError("too long", rows)
        return super().choice_logprobs(asks)


def test_a_reply_that_is_too_long_is_neither_good_nor_bad_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    engine = Narrow(prefer=taste(good=4, first=1))
    with caplog.at_level(logging.WARNING):
        assert reward(engine).score(["p0", "p1"], ["good 0", "good long"]).tolist() == pytest.approx([math.log(4), 0.0])
    assert "1 of 2 replies are too long to be compared with their reference: reward 0" in caplog.text
    with pytest.raises(ValueError, match=r"none of 1 replies can be compared .* lower rlhf\.judge\.few_shots"):
        reward(engine).score(["p1"], ["good long"])


def test_the_fingerprint_is_of_all_that_a_reward_depends_on() -> None:
    one = reward(ScriptedEngine())
    other = ScriptedEngine()
    other.fingerprint = "another"
    question = {**CASES, "p0": replace(CASES["p0"], question="Which not?")}
    changed = [replace(one, engine=other), replace(one, max_log_odds=3.0), replace(one, cases=question)]
    assert len({one.fingerprint, *(each.fingerprint for each in changed)}) == 4
    assert reward(ScriptedEngine()).fingerprint == one.fingerprint
