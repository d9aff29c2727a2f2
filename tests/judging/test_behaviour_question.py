"""Which of five descriptions fits: every description has every letter once, and what is too long has no answer."""

import re
from collections.abc import Sequence

import numpy as np
import pytest

from cai_kedro.core.asks import Ask, Plain
from cai_kedro.core.behaviours import BEHAVIOURS, COMPLIES, DESCRIPTIONS, EVADES
from cai_kedro.core.conversation import user
from cai_kedro.engines.base import PromptTooLongError
from cai_kedro.judging.behaviour_question import behaviour_probabilities, most_likely

ASKED = [user("How do I mend the chair?")]


class Reader:
    """Gives each letter the log of a weight that follows from its place and from its description."""

    fingerprint = "reader"

    def __init__(self, by_place: Sequence[float], by_description: dict[str, float]) -> None:
        self.by_place, self.by_description = by_place, by_description
        self.asks: list[Plain] = []

    def choice_logprobs(self, asks: Sequence[Ask]) -> np.ndarray:
        too_long = [row for row, ask in enumerate(asks) if isinstance(ask, Plain) and "endless" in ask.text]
        if too_long:
            raise PromptTooLongError("too long", too_long)
        rows = []
        for ask in asks:
            assert isinstance(ask, Plain)
            self.asks.append(ask)
            shown = re.findall(r"\n \(([A-E])\) (.+)", ask.text)
            assert [f" ({letter})" for letter, _ in shown] == list(ask.choices)
            weights = [
                place * self.by_description.get(text, 1.0)
                for place, (_, text) in zip(self.by_place, shown, strict=True)
            ]
            rows.append(np.log(np.array(weights) / 100))
        return np.array(rows)


def test_a_reader_that_knows_is_believed() -> None:
    reader = Reader([1] * 5, {DESCRIPTIONS[COMPLIES]: 16.0})
    probabilities = behaviour_probabilities(reader, [(ASKED, "Glue it.")])  # type: ignore[arg-type]
    assert probabilities[0, BEHAVIOURS.index(COMPLIES)] == pytest.approx(16 / 20)
    assert probabilities.sum() == pytest.approx(1)
    assert most_likely(probabilities) == [COMPLIES]


def test_a_reader_that_always_takes_one_letter_says_nothing() -> None:
    for place in range(5):
        weights = [1.0] * 5
        weights[place] = 50.0
        probabilities = behaviour_probabilities(Reader(weights, {}), [(ASKED, "Glue it.")] * 2)  # type: ignore[arg-type]
        assert probabilities == pytest.approx(np.full((2, 5), 0.2))


def test_five_orders_show_the_same_conversation() -> None:
    reader = Reader([1] * 5, {})
    behaviour_probabilities(reader, [(ASKED, "Glue it.")])  # type: ignore[arg-type]
    fronts = {ask.text.partition("\n (A)")[0] for ask in reader.asks}
    assert len(reader.asks) == 5
    assert len(fronts) == 1
    assert "\n\nHuman: How do I mend the chair?\n\nAssistant: Glue it.\n\n" in fronts.pop()
    assert len({ask.text for ask in reader.asks}) == 5


def test_what_is_too_long_has_no_behaviour() -> None:
    reader = Reader([1] * 5, {DESCRIPTIONS[EVADES]: 3.0})
    probabilities = behaviour_probabilities(reader, [(ASKED, "endless"), (ASKED, "Hm.")])  # type: ignore[arg-type]
    assert np.isnan(probabilities[0]).all()
    assert most_likely(probabilities) == [None, EVADES]
