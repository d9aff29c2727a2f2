"""Hours by hand: a model of 10 weights a token, a card of 100 operations and 40 bytes a second."""

from dataclasses import replace

import pytest

from cai_kedro.core.model_shape import ModelShape
from cai_kedro.metrics.flops import forward_flops, layer_weights, training_flops
from cai_kedro.metrics.gpu_hours import Lengths, Speed, Work, cards, hours, paper_work

SHAPE = ModelShape(
    parameters=100, embeddings=8, layers=1, width=2, inner=4, heads=1, key_heads=1, head_width=2, vocabulary=4
)
SPEED = Speed(flops=1000.0, bandwidth=400.0, memory=1000.0, mfu=0.5, mbu=0.5, filled=1.0, rows=10)


def test_operations_are_two_a_weight_and_attention_to_what_is_seen() -> None:
    assert layer_weights(SHAPE) == 2 * 2 * (2 + 2) + 3 * 2 * 4 == 40
    assert forward_flops(SHAPE, tokens=3, context=5, logits=1) == 3 * (2 * 40 + 4 * 2 * 5) + 2 * 4 * 2
    assert training_flops(SHAPE, 3, 5, 1, whole=True) == 3 * forward_flops(SHAPE, 3, 5, 1)
    assert training_flops(SHAPE, 3, 5, 1, whole=False) == 2 * forward_flops(SHAPE, 3, 5, 1)


def test_reading_and_learning_take_operations() -> None:
    read = forward_flops(SHAPE, 7, 5, 0)
    assert hours(Work(3600, read=7, context=5), SHAPE, SPEED, sharing=True) == pytest.approx(read / 500)
    learnt = 3 * forward_flops(SHAPE, 7, 5, 7)
    assert hours(Work(3600, learnt=7, context=5), SHAPE, SPEED, sharing=True) == pytest.approx(learnt / 500)
    without_words = hours(Work(3600, learnt=7, context=5, logits=False), SHAPE, SPEED, sharing=True)
    assert without_words == pytest.approx(3 * forward_flops(SHAPE, 7, 5, 0) / 500)


def test_writing_takes_bytes_or_operations() -> None:
    """200 bytes of weights and 8 of cache a token: 10 rows of 5 tokens fit."""
    work = Work(3600, written=1, context=5)
    moved = (200 + 10 * 5 * 8) / 200
    computed = 10 * forward_flops(SHAPE, 1, 5, 1) / 500
    assert hours(work, SHAPE, SPEED, sharing=True) == pytest.approx(max(moved, computed) / 10)
    assert hours(work, SHAPE, replace(SPEED, flops=1e9), sharing=True) == pytest.approx(moved / 10)


def test_a_shared_beginning_is_read_and_kept_once() -> None:
    work = Work(3600, read=2, written=1, shared=10, context=5)
    fast = replace(SPEED, flops=1e12, rows=2)
    once, each = hours(work, SHAPE, fast, sharing=True), hours(work, SHAPE, fast, sharing=False)
    assert once == pytest.approx((200 + 80 + 2 * 40) / 200 / 2, rel=1e-6)
    assert each == pytest.approx((200 + 2 * 120) / 200 / 2, rel=1e-6)


def test_a_large_model_lies_on_several_cards() -> None:
    assert cards(SHAPE, SPEED) == 1
    assert cards(replace(SHAPE, parameters=251), SPEED) == 2
    assert cards(replace(SHAPE, parameters=600), SPEED) == 4


def test_the_paper_s_stages_have_its_rows() -> None:
    lengths = Lengths(prompt=60, reply=120, critique=80, request=40, critique_shots=1200, label_shots=3, ppo_epochs=2)
    work = paper_work(lengths)
    assert work["responses"].rows == work["labels"].rows == 182_831
    assert work["critiques and revisions"].rows == 4 * 182_831
    assert work["SL-CAI"].rows == 4 * 182_831 + 2 * 135_296
    assert work["labels"].read == 4 * (60 + 240 + 40)
    assert work["critiques and revisions"].read == (180 + 40) + (180 + 40 + 80 + 40)
