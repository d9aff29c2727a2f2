"""What is asked of the probe set, and how the answers come back."""

from pathlib import Path

import numpy as np
import pytest

from cai_kedro.core.asks import Comparison, Critique
from cai_kedro.core.constitution import NO_FEW_SHOTS, Constitution
from cai_kedro.core.constitution_readers import read_constitution
from cai_kedro.engines.base import PromptTooLongError, Sampling
from cai_kedro.judging.probe import some_pairs
from cai_kedro.judging.trial import ask_comparisons, ask_critiques
from tests.probe_engines import ProbedEngine, knows, names

ENGLISH = read_constitution(Path(__file__).parents[2] / "conf" / "base" / "constitution" / "english")
PAIRS = some_pairs(8)
SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=8)


def test_both_orders_and_both_polarities() -> None:
    engine = ProbedEngine()
    table = ask_comparisons(engine, PAIRS, ENGLISH, 0, seed=1, turned=True)
    assert table["item_id"].tolist() == [pair.id for pair in PAIRS] * 2
    assert table["asks_for"].tolist() == ["better"] * 8 + ["worse"] * 8
    assert table["p_first"].tolist() == pytest.approx([0.9] * 8 + [0.1] * 8)
    assert table["p_second"].tolist() == pytest.approx([0.1] * 8 + [0.9] * 8)
    shown = {(ask.first, ask.second) for ask in engine.asks if isinstance(ask, Comparison)}
    assert shown == {(p.better, p.worse) for p in PAIRS} | {(p.worse, p.better) for p in PAIRS}
    assert len(engine.asks) == 8 * 2 * 2


def test_worked_examples_are_those_of_a_few_sets() -> None:
    engine = ProbedEngine()
    ask_comparisons(engine, PAIRS, ENGLISH, 4, seed=1)
    sets = [ask.examples for ask in engine.asks if isinstance(ask, Comparison)]
    assert {len(examples) for examples in sets} == {4}
    assert len({tuple(map(repr, examples)) for examples in sets}) == 4
    assert sets[0] == sets[3] != sets[4]  # two pairs in both orders, set by set
    again = ProbedEngine()
    ask_comparisons(again, PAIRS, ENGLISH, 4, seed=1)
    assert again.asks == engine.asks


def test_without_worked_examples_it_is_asked_without() -> None:
    without = Constitution(**{**dict(ENGLISH), "few_shots": NO_FEW_SHOTS})
    engine = ProbedEngine()
    ask_comparisons(engine, PAIRS, without, 4, seed=1)
    assert {ask.examples for ask in engine.asks if isinstance(ask, Comparison)} == {()}


class Short(ProbedEngine):
    """Reads no pair whose answers are longer than so many characters."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def choice_logprobs(self, asks):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
        rows = [i for i, ask in enumerate(asks) if len(ask.first) + len(ask.second) > self.room]
        if rows:
            raise PromptTooLongError("too long", rows)
        return super().choice_logprobs(asks)


class ShortCritic(ProbedEngine):
    """Criticises no answer that is longer than so many characters."""

    def __init__(self, *given, room: int) -> None:  # type: ignore[no-untyped-def] # noqa: ANN002
        super().__init__(*given)
        self.room = room

    def generate(self, asks, sampling, seeds):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN201
        rows = [i for i, ask in enumerate(asks) if len(ask.response) > self.room]
        if rows:
            raise PromptTooLongError("too long", rows)
        return super().generate(asks, sampling, seeds)


def test_pairs_that_do_not_fit_are_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    lengths = sorted(len(pair.better) + len(pair.worse) for pair in PAIRS)
    table = ask_comparisons(Short(lengths[-2]), PAIRS, ENGLISH, 0, seed=1)
    assert len(table) == len(PAIRS) - 1
    assert np.isfinite(table[["p_first", "p_second"]]).all().all()
    assert "1 of 8 probe questions do not fit into the model's context" in caplog.text
    with pytest.raises(ValueError, match="no pair of the probe set fits into the model's context"):
        ask_comparisons(Short(1), PAIRS, ENGLISH, 0, seed=1)


def test_a_critique_that_does_not_fit_is_the_empty_text() -> None:
    lengths = sorted(len(pair.worse) for pair in PAIRS)
    said = ask_critiques(ShortCritic(knows, names, room=lengths[-2]), PAIRS, ENGLISH, 0, SAMPLING, seed=1)
    assert [bool(critique) for *_, critique in said] == [len(pair.worse) <= lengths[-2] for pair in PAIRS]
    assert sum(not critique for *_, critique in said) == 1


def test_critiques_are_about_harm_and_come_back_with_their_principle() -> None:
    engine = ProbedEngine(knows, names)
    said = ask_critiques(engine, PAIRS, ENGLISH, 2, SAMPLING, seed=1)
    assert [pair for pair, *_ in said] == list(PAIRS)
    for ask, (pair, principle, critique) in zip(engine.asks, said, strict=True):
        assert isinstance(ask, Critique)
        assert principle.harms
        assert (ask.response, ask.critique_request) == (pair.worse, principle.critique_request)
        assert len(ask.examples) == 2
        assert pair.messages[-1]["content"] in critique
