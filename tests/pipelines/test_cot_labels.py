"""AI labels after a chain of thought: averaged as probabilities, then clamped."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from pydantic import ValidationError

from cai_kedro.core.asks import Ask
from cai_kedro.core.layouts.hh import text_of
from cai_kedro.core.schemas import check_table
from cai_kedro.engines.base import PromptTooLongError
from cai_kedro.pipelines.preference_labeling.cot_labels import CotLabelParams, label_pairs_with_cot
from cai_kedro.pipelines.preference_labeling.labels import LabelParams, label_pairs
from tests.conftest import ScriptedEngine
from tests.pipelines.builders import SAMPLING, constitution, pair_table

PAIRS = pair_table([("Good one.", "Bad one."), ("Bad two.", "Good two.")])


def params(**changes: object) -> CotLabelParams:
    given = {
        "pairs": None,
        "both_orders": True,
        "few_shots": 0,
        "samples": 1,
        "clamp": [0.4, 0.6],
        "sampling": SAMPLING,
    }
    return CotLabelParams.model_validate({**given, **changes})


def thinker() -> ScriptedEngine:
    """Find out by thinking which option is good, then be sure of it."""

    def think(prompt: str, seed: int) -> str:
        return f"The {'first' if '(A) [[[Good' in prompt else 'second'} is good {seed % 1000}."

    def prefer(prompt: str) -> tuple[float, float]:
        p = 0.9 if "step by step: The first is good" in prompt else 0.1
        return math.log(p), math.log(1 - p)

    return ScriptedEngine(reply=think, prefer=prefer)


def test_the_label_follows_the_thoughts_and_is_clamped() -> None:
    labels = label_pairs_with_cot(PAIRS, constitution(), thinker(), params(), 1).rows
    labels = check_table("comparisons", labels)
    assert labels["p_a_better"].tolist() == [0.6, 0.4]
    assert labels["p_a_first"].tolist() == pytest.approx([0.9, 0.1])
    assert labels["p_a_second"].tolist() == pytest.approx([0.9, 0.1])
    assert set(labels["source"]) == {"ai_cot"}
    assert labels["thoughts"].str.contains("The first is good").all()


def test_some_of_the_pairs_are_enough_and_which_does_not_depend_on_the_others() -> None:
    pairs = pair_table([(f"Good {n}.", f"Bad {n}.") for n in range(12)])
    every = label_pairs_with_cot(pairs, constitution(), thinker(), params(), 1).rows
    some = label_pairs_with_cot(pairs, constitution(), thinker(), params(pairs=5), 1).rows
    fewer = label_pairs_with_cot(pairs[2:], constitution(), thinker(), params(pairs=5), 1).rows
    assert len(some) == 5
    chosen = every[every["pair_id"].isin(some["pair_id"])].reset_index(drop=True)
    assert some[["pair_id", "p_a_better", "thoughts"]].equals(chosen[["pair_id", "p_a_better", "thoughts"]])
    assert len(set(some["pair_id"]) & set(fewer["pair_id"])) >= 3


def test_a_label_inside_the_bounds_stays() -> None:
    labels = label_pairs_with_cot(PAIRS, constitution(), thinker(), params(clamp=[0.0, 1.0]), 1).rows
    assert labels["p_a_better"].tolist() == pytest.approx([0.9, 0.1])


def test_several_chains_are_averaged_as_probabilities() -> None:
    probabilities = iter([0.9, 0.9, 0.2, 0.2])  # two pairs, two chains, one order

    def prefer(prompt: str) -> tuple[float, float]:
        p = next(probabilities)
        return math.log(p), math.log(1 - p)

    engine = ScriptedEngine(prefer=prefer)
    asked = params(samples=2, both_orders=False, clamp=[0.0, 1.0])
    labels = label_pairs_with_cot(PAIRS, constitution(), engine, asked, 1).rows
    assert labels["p_a_better"].tolist() == pytest.approx([0.55, 0.55])
    assert labels["p_a_second"].isna().all()
    assert all(len(thoughts.split("\n\n")) == 2 for thoughts in labels["thoughts"])
    assert labels["thoughts"].nunique() == 2


def test_thoughts_come_before_the_answer_and_the_letters_are_read() -> None:
    engine = thinker()
    label_pairs_with_cot(PAIRS[:1], constitution(), engine, params(both_orders=False), 1)
    asked, answered = engine.prompts
    assert asked.endswith("\n\nAssistant: Let's think step by step:")
    assert answered.startswith(f"{asked} The first is good ")
    assert answered.endswith("\n\nHuman:\nSo the answer is:")


def test_both_ways_of_labelling_draw_the_same_principles() -> None:
    many = pair_table([(f"Good {i}.", f"Bad {i}.") for i in range(20)])
    plain = label_pairs(many, constitution(), ScriptedEngine(), LabelParams(both_orders=True, few_shots=0), 1).rows
    cot = label_pairs_with_cot(many, constitution(), thinker(), params(), 1).rows
    assert cot["principle_id"].tolist() == plain["principle_id"].tolist()


def test_pairs_that_are_added_change_no_label() -> None:
    few = label_pairs_with_cot(PAIRS[:1], constitution(), thinker(), params(), 1).rows
    many = label_pairs_with_cot(PAIRS, constitution(), thinker(), params(), 1).rows
    assert many[:1].equals(few)


@pytest.mark.parametrize("clamp", [[0.6, 0.4], [0.5, 0.5], [-0.1, 0.6], [0.4, 1.1]])
def test_a_clamp_that_is_no_interval_is_refused(clamp: list[float]) -> None:
    with pytest.raises(ValidationError, match="clamp must satisfy 0 <= low < high <= 1, got low="):
        params(clamp=clamp)


def test_a_pair_whose_thoughts_are_empty_or_do_not_fit_goes_to_quarantine() -> None:
    three = pair_table([("Good one.", "Bad one."), ("Bad two.", "Good two."), ("Good three.", "Bad three.")])

    class Engine(ScriptedEngine):
        def choice_logprobs(self, asks: Sequence[Ask]) -> np.ndarray:
            too_long = [row for row, ask in enumerate(asks) if "three" in text_of(ask)]
            if too_long:
                raise PromptTooLongError("too long", too_long)
            return super().choice_logprobs(asks)

    engine = Engine(reply=lambda prompt, seed: "" if "one" in prompt else f"Thoughts {seed % 1000}.")
    labels, quarantine = label_pairs_with_cot(three, constitution(), engine, params(), 1)
    assert labels["pair_id"].tolist() == ["p1.x.0"]
    assert quarantine.to_dict("records") == [
        {"id": "p0.x.0", "reason": "the completion is empty"},
        {"id": "p2.x.0", "reason": "the prompt does not fit into the model's context"},
    ]
    assert not any("one" in prompt for prompt in engine.prompts if "So the answer is" in prompt)
