"""AI labels come from the log-probabilities of the letters, in both orders."""

import math
import re
from collections.abc import Callable, Sequence

import pytest

from cai_kedro.core.asks import Ask
from cai_kedro.core.constitution import ComparisonFewShot, Constitution, FewShots
from cai_kedro.core.schemas import check_table
from cai_kedro.engines.base import Completion, Sampling
from cai_kedro.pipelines.preference_labeling.labels import LabelParams, label_pairs
from tests.conftest import ScriptedEngine
from tests.pipelines.builders import constitution, pair_table

PAIRS = pair_table([("Good one.", "Bad one."), ("Bad two.", "Good two."), ("Good three.", "Bad three.")])
BOTH = LabelParams(both_orders=True, few_shots=0)
ONE = LabelParams(both_orders=False, few_shots=0)


class ReadingEngine(ScriptedEngine):
    """An engine that must not be made to write."""

    def generate(self, asks: Sequence[Ask], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        raise AssertionError("a label must never come from generated text")


def logprobs(good: float, first: float = 0.5) -> Callable[[str], Sequence[float]]:
    """Prefer the good option with odds `good`, and the first option with odds `first / (1 - first)`."""

    def prefer(prompt: str) -> tuple[float, float]:
        good_first = re.findall(r"\((.)\) \[\[\[(\w+)", prompt)[-2:][0] == ("A", "Good")
        odds = (good if good_first else 1 / good) * first / (1 - first)
        return math.log(odds) - 3, -3.0  # the letters have little of the probability: only their ratio counts

    return prefer


def test_the_label_is_the_ratio_of_the_letters() -> None:
    engine = ReadingEngine(prefer=logprobs(good=4))
    labels = check_table("comparisons", label_pairs(PAIRS, constitution(), engine, BOTH, 1).rows)
    assert labels["p_a_better"].tolist() == pytest.approx([0.8, 0.2, 0.8])
    assert labels["p_a_first"].tolist() == pytest.approx([0.8, 0.2, 0.8])
    assert labels["p_a_second"].tolist() == pytest.approx([0.8, 0.2, 0.8])
    assert set(labels["source"]) == {"ai"}
    assert set(labels["objective"]) == {"harmlessness"}


def test_both_orders_cancel_a_taste_for_the_first_letter() -> None:
    engine = ReadingEngine(prefer=logprobs(good=1, first=0.9))
    labels = label_pairs(PAIRS, constitution(), engine, BOTH, 1).rows
    assert labels["p_a_first"].tolist() == pytest.approx([0.9] * 3)
    assert labels["p_a_second"].tolist() == pytest.approx([0.1] * 3)
    assert labels["p_a_better"].tolist() == pytest.approx([0.5] * 3)


def test_swapping_the_answers_turns_the_label() -> None:
    engine = ReadingEngine(prefer=logprobs(good=4, first=0.7))
    swapped = PAIRS.assign(response_a=PAIRS["response_b"], response_b=PAIRS["response_a"])
    labels = label_pairs(PAIRS, constitution(), engine, BOTH, 1).rows
    turned = label_pairs(swapped, constitution(), engine, BOTH, 1).rows
    assert (1 - turned["p_a_better"]).tolist() == pytest.approx(labels["p_a_better"].tolist())


def test_a_single_order_is_the_first_one() -> None:
    engine = ReadingEngine(prefer=logprobs(good=4, first=0.7))
    labels = check_table("comparisons", label_pairs(PAIRS, constitution(), engine, ONE, 1).rows)
    assert labels["p_a_better"].tolist() == labels["p_a_first"].tolist()
    assert labels["p_a_second"].isna().all()
    assert len(engine.prompts) == len(PAIRS)


def test_one_principle_is_drawn_per_pair_and_asked_in_both_orders() -> None:
    engine, principles = ReadingEngine(), constitution()
    many = pair_table([(f"Good {i}.", f"Bad {i}.") for i in range(30)])
    labels = label_pairs(many, principles, engine, BOTH, 1).rows
    asked = [principles.preference(principle_id).question for principle_id in labels["principle_id"]]
    for question, first, second in zip(asked, engine.prompts[:30], engine.prompts[30:], strict=True):
        assert f"\n\n{question} Options:\n (A) [[[Good" in first
        assert f"\n\n{question} Options:\n (A) [[[Bad" in second
    assert labels["principle_id"].nunique() == 4
    few = label_pairs(many[:5], principles, engine, BOTH, 1).rows
    assert few.equals(labels[:5])


def test_worked_comparisons_are_drawn_per_pair() -> None:
    worked = tuple(ComparisonFewShot(messages=f"Q{i}?", better=f"yes {i}", worse=f"no {i}") for i in range(4))
    plain = constitution()
    few_shots = FewShots(critiques=(), comparisons=worked, cots=(), red_team_prompts=())
    taught: Constitution = plain.model_copy(update={"few_shots": few_shots})
    engine = ReadingEngine()
    labelled = LabelParams(both_orders=True, few_shots=2)
    label_pairs(PAIRS, taught, engine, labelled, 1)
    assert all(prompt.count("\n\nConsider the following") == 3 for prompt in engine.prompts)
    assert engine.prompts[0].split("Question 0?")[0] == engine.prompts[3].split("Question 0?")[0]
    assert engine.prompts[0].split("Question 0?")[0] != engine.prompts[1].split("Question 1?")[0]
    engine.prompts.clear()
    label_pairs(PAIRS, taught, engine, labelled.model_copy(update={"few_shots": 5}), 1)
    assert all(prompt.count("\n\nConsider the following") == 5 for prompt in engine.prompts), "all four that there are"
