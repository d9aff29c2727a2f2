"""Which of two: both orders, what does not fit, and thoughts, on engines whose answers a test decides."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from cai_kedro.core.asks import Ask, Comparison, Thoughts, Verdict, Worked
from cai_kedro.core.conversation import user
from cai_kedro.core.layouts.hh import text_of
from cai_kedro.engines.base import Completion, PromptTooLongError, Sampling
from cai_kedro.judging.comparer import Case, Preferences, Thinking, compare, compare_with_thoughts
from tests.conftest import ScriptedEngine

CASES = [Case([user(f"Question {i}?")], f"good {i}", f"bad {i}", "Which?") for i in range(3)]
SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=8)


def taste(good: float, first: float) -> Any:
    """Prefer what is good and what stands first, each by its odds."""

    def prefer(prompt: str) -> tuple[float, float]:
        good_first = prompt.rindex("[[[good") < prompt.rindex("[[[bad")
        return math.log((good if good_first else 1 / good) * first) - 2, -2.0

    return prefer


def thinking(samples: int) -> Thinking:
    return Thinking(samples, SAMPLING, lambda case, order, chain: 100 * case + 10 * order + chain)


def test_both_orders_take_the_letter_out() -> None:
    found = compare(ScriptedEngine(prefer=taste(good=4, first=3)), CASES, both_orders=True)
    assert found.a_first.tolist() == pytest.approx([12 / 13] * 3)
    assert found.a_second.tolist() == pytest.approx([1 - 3 / 7] * 3)
    assert found.a_better.tolist() == pytest.approx([(12 / 13 + 4 / 7) / 2] * 3)
    one = compare(ScriptedEngine(prefer=taste(good=4, first=3)), CASES, both_orders=False)
    assert one.a_better.tolist() == one.a_first.tolist() == found.a_first.tolist()
    assert np.isnan(one.a_second).all()


def test_all_orders_are_asked_in_one_call() -> None:
    calls: list[Sequence[Ask]] = []

    class Engine(ScriptedEngine):
        def choice_logprobs(self, asks: Sequence[Ask]) -> np.ndarray:
            calls.append(asks)
            return super().choice_logprobs(asks)

    worked = (Worked(Comparison([user("Hi")], "a", "b", "Which?"), "B"),)
    cases = [Case([user("How?")], "good", "bad", "Which?", worked)]
    compare(Engine(), cases, both_orders=True)
    assert calls == [
        [
            Comparison([user("How?")], "good", "bad", "Which?", worked),
            Comparison([user("How?")], "bad", "good", "Which?", worked),
        ]
    ]


def test_what_does_not_fit_in_one_order_has_no_preference() -> None:
    class Engine(ScriptedEngine):
        def choice_logprobs(self, asks: Sequence[Ask]) -> np.ndarray:
            too_long = [row for row, ask in enumerate(asks) if "(A) [[[bad 1" in text_of(ask)]
            if too_long:
                raise PromptTooLongError("too long", too_long)
            return super().choice_logprobs(asks)

    found = compare(Engine(), CASES, both_orders=True)
    assert np.isnan(found.a_better).tolist() == [False, True, False]
    assert not np.isnan(found.a_first).any()


def test_nothing_to_compare() -> None:
    assert compare(ScriptedEngine(), [], both_orders=True).a_better.shape == (0,)
    reasoned = compare_with_thoughts(ScriptedEngine(), [], thinking(2), both_orders=True)
    assert reasoned.p_first.shape == (2, 2, 0)
    assert reasoned.preferences.a_better.shape == (0,)


def test_chains_are_averaged_as_probabilities_and_keep_their_places() -> None:
    def prefer(prompt: str) -> tuple[float, float]:
        number = int(prompt.partition("chain ")[2].partition(".")[0])
        p = {0: 0.9, 1: 0.5}[number % 10]
        good_first = prompt.rindex("[[[good") < prompt.rindex("[[[bad")
        return math.log(p if good_first else 1 - p), math.log(1 - p if good_first else p)

    engine = ScriptedEngine(reply=lambda prompt, seed: f"chain {seed}.", prefer=prefer)
    reasoned = compare_with_thoughts(engine, CASES, thinking(2), both_orders=True)
    assert reasoned.preferences.a_better.tolist() == pytest.approx([0.7] * 3)
    assert reasoned.after_chain(0).a_better.tolist() == pytest.approx([0.9] * 3)
    assert reasoned.after_chain(1).a_better.tolist() == pytest.approx([0.5] * 3)
    assert reasoned.texts(2, range(2)) == ["chain 200.", "chain 201.", "chain 210.", "chain 211."]
    assert reasoned.texts(1, [1]) == ["chain 101.", "chain 111."]
    assert reasoned.troubles == [None] * 3


def test_a_case_in_trouble_is_answered_no_more() -> None:
    answered: list[Ask] = []

    class Engine(ScriptedEngine):
        def choice_logprobs(self, asks: Sequence[Ask]) -> np.ndarray:
            answered.extend(asks)
            return super().choice_logprobs(asks)

        def generate(self, asks: Sequence[Ask], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
            return [Completion("" if "bad 1" in text_of(ask) else "Thoughts.", "stop") for ask in asks]

    reasoned = compare_with_thoughts(Engine(), CASES, thinking(1), both_orders=True)
    assert reasoned.troubles == [None, "the completion is empty", None]
    assert np.isnan(reasoned.preferences.a_better).tolist() == [False, True, False]
    assert len(answered) == 4
    assert answered[0] == Verdict(Thoughts([user("Question 0?")], "good 0", "bad 0", "Which?"), "Thoughts.")


def test_preferences_of_one_order() -> None:
    assert Preferences.of([np.array([0.2])]).a_better.tolist() == [0.2]
    assert Preferences.of([np.array([0.2]), np.array([0.4])]).a_better.tolist() == pytest.approx([0.4])
