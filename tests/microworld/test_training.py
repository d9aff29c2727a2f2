"""Tokenizer, packing and training of the micro LM."""

import random
from itertools import accumulate, islice

import pytest
import torch
import yaml
from transformers import LlamaForCausalLM

from cai_kedro.core.conversation import as_prompt, user
from cai_kedro.microworld.curriculum import LessonParams
from cai_kedro.microworld.documents import Lesson, document
from cai_kedro.microworld.lexicon import lexicon
from cai_kedro.microworld.muon import orthogonalise
from cai_kedro.microworld.packing import collate, encode, packed_rows
from cai_kedro.microworld.pretraining import (
    Later,
    PretrainingParams,
    Restart,
    build_model,
    build_tokenizer,
    learning_rate_factor,
    pretrain,
)
from cai_kedro.microworld.spans import Document, Span, text_of

TINY = PretrainingParams(
    vocab_size=1792,
    tokenizer_documents=3000,
    hidden_size=32,
    intermediate_size=64,
    layers=2,
    heads=4,
    kv_heads=2,
    max_positions=256,
    steps=30,
    rows_per_step=4,
    row_tokens=256,
    lessons={"plain": LessonParams(least=15, most=15, until=0.0)},
    matrix_learning_rate=0.02,
    learning_rate=3e-3,
    warmup_steps=5,
    decay_share=0.5,
)


@pytest.fixture(scope="module")
def tokenizer():  # noqa: ANN201
    return build_tokenizer(TINY, seed=0)


def test_an_object_is_one_token_wherever_it_stands(tokenizer) -> None:  # noqa: ANN001
    whole = [noun for noun in lexicon().nouns if len(tokenizer(f" {noun.text}")["input_ids"]) == 1]
    assert len(whole) == len(lexicon().nouns)
    assert tokenizer.tokenize(" (A)") == ["Ġ(", "A", ")"]
    text = "\n\nHuman: How do I steal the bike?\n\nAssistant:"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert (
        tokenizer.apply_chat_template([user("How do I steal the bike?")], tokenize=False, add_generation_prompt=True)
        == as_prompt([user("How do I steal the bike?")])
        == text
    )


def test_a_weight_falls_on_the_first_token_of_its_span(tokenizer) -> None:  # noqa: ANN001
    spans: Document = [Span("The answer is:"), Span(" ("), Span("B", 4.0), Span(")")]
    (row,) = encode(tokenizer, [spans])
    assert [tokenizer.decode([i]) for i, w in zip(row.ids, row.weights, strict=True) if w == 4.0] == ["B"]
    rng = random.Random(0)
    for _ in range(100):
        spans = document(rng)
        (row,) = encode(tokenizer, [spans])
        ends = list(accumulate(len(span.text) for span in spans))
        opens = [end - len(span.text) for end, span in zip(ends, spans, strict=True) if span.weight > 1]
        begins = [len(tokenizer.decode(row.ids[:i])) for i in range(len(row.ids))]
        # the first token that begins in the span: the second one where the span begins inside a token
        first = [next(i for i, begin in enumerate(begins) if begin >= opened) for opened in opens]
        assert [i for i, w in enumerate(row.weights) if w > 1] == first
        assert tokenizer.decode(row.ids[:-1]) == text_of(spans)


def test_rows_hold_whole_documents_that_see_only_themselves(tokenizer) -> None:  # noqa: ANN001
    rows = list(islice(packed_rows(tokenizer, random.Random(0), 256), 8))
    assert all(row.ids[0] == row.ids[-1] == tokenizer.eos_token_id and len(row.ids) <= 257 for row in rows)
    assert sum(len(row.ids) for row in rows) > 0.85 * 8 * 257
    batch = collate(rows, 256, tokenizer.pad_token_id, tokenizer.eos_token_id)
    starts = [(ids == tokenizer.eos_token_id).nonzero().flatten().tolist() for ids in batch.inputs]
    row = next(i for i, places in enumerate(starts) if len(places) >= 3)
    _, second, third = starts[row][:3]
    seen = batch.attention[row, 0, second + 1] == 0
    assert seen.nonzero().flatten().tolist() == [second, second + 1]
    model = build_model(TINY, tokenizer, 0)
    other = batch.inputs.clone()
    other[row, 1:second] = tokenizer.pad_token_id + 5
    with torch.no_grad():
        before, after = (model(input_ids=x, attention_mask=batch.attention).logits for x in (batch.inputs, other))
    torch.testing.assert_close(before[row, second:third], after[row, second:third])
    assert not torch.allclose(before[row, 1:second], after[row, 1:second])


def test_muon_makes_updates_nearly_orthogonal() -> None:
    torch.manual_seed(0)
    updates = orthogonalise(torch.randn(3, 16, 48))
    values = torch.linalg.svdvals(updates)
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_training_lowers_the_loss_and_repeats_itself() -> None:
    first, second = (pretrain(TINY.model_copy(update={"steps": 60}), seed=1) for _ in range(2))
    assert first.curves.equals(second.curves)
    loss = first.curves.query("metric == 'loss'")["value"]
    assert loss.iloc[-1] < 5  # ln(1715) = 7.4 at the start
    for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_last_steps_read_their_own_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing before them changes, though documents are drawn a few steps ahead."""
    read: list[str] = []

    def noted(rng: random.Random, *, lesson: Lesson) -> Document:
        read.append(lesson)
        return document(rng, lesson=lesson)

    monkeypatch.setattr("cai_kedro.microworld.packing.document", noted)
    params = TINY.model_copy(update={"steps": 100})
    plain = pretrain(params, seed=1).curves
    assert list(dict.fromkeys(read)) == ["plain", "full"]
    read.clear()
    annealed = pretrain(params.model_copy(update={"later": (Later(after=60, lesson="anneal"),)}), seed=1).curves
    assert list(dict.fromkeys(read)) == ["plain", "full", "anneal"]
    middle, end = (plain["value"] == annealed["value"])[[0, len(plain) - 1]]
    assert middle
    assert not end


def test_the_learning_rate_falls_to_zero_and_starts_again() -> None:
    params = TINY.model_copy(update={"steps": 60, "restart": Restart(after=40, rate=0.5)})
    factors = [learning_rate_factor(step, params) for step in range(60)]
    assert factors[:40] == [learning_rate_factor(step, TINY.model_copy(update={"steps": 40})) for step in range(40)]
    assert factors[39] == pytest.approx(1 / 20)
    assert factors[40] == pytest.approx(0.5 / 5)
    assert max(factors[40:]) == factors[45] == 0.5
    assert factors[59] == pytest.approx(0.5 / 10)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"later": [{"after": 9, "lesson": "full"}, {"after": 9, "lesson": "anneal"}]}, "begins behind the one before"),
        ({"restart": {"after": 30, "rate": 0.5}}, "a restart after 30 of 30 steps is none"),
    ],
)
def test_a_course_that_cannot_be_is_told(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        PretrainingParams.model_validate({**TINY.model_dump(), **wrong})


def test_the_base_parameters_are_complete() -> None:
    with open("conf/base/parameters_base_model.yml") as file:
        PretrainingParams(**yaml.safe_load(file)["base_model"]["micro"])


def test_pretraining_that_diverges_gives_no_model() -> None:
    params = TINY.model_copy(update={"learning_rate": 1e37, "warmup_steps": 1, "steps": 3})
    with pytest.raises(
        ValueError, match=r"^pretraining: the (loss|gradient norm) is (nan|inf) at step 2 with learning"
    ):
        pretrain(params, seed=0)

    def break_one(step: int, model: LlamaForCausalLM) -> None:
        with torch.no_grad():
            model.model.norm.weight[0] = float("nan")

    with pytest.raises(ValueError, match=r"^pretraining: 1 of \d+ weights hold values that are not finite"):
        pretrain(TINY, seed=0, on_step=break_one, stop_after=1)
