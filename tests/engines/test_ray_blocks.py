"""Rows that travel to the workers of a cluster, without a cluster."""

import json

import numpy as np
import pytest
import torch

from cai_kedro.engines.base import Completion, Sampling
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.ray_blocks import answer, asked_to_choose, asked_to_generate, blocks_of
from cai_kedro.engines.transformers_engine import TransformersEngine
from tests.asks import plain

PROMPTS = ["\n\nHuman: hé\u2028llo\n\nAssistant:", "short", "another"]
SAMPLING = Sampling(temperature=1.0, top_p=0.9, max_new_tokens=6)


@pytest.mark.parametrize(("n", "sizes"), [(0, []), (3, [3]), (7, [3, 3, 1])])
def test_blocks_hold_every_row_once_and_in_order(n: int, sizes: list[int]) -> None:
    blocks = blocks_of(range(n), 3)
    assert [len(block) for block in blocks] == sizes
    assert [row for block in blocks for row in block] == list(range(n))


def test_an_answer_is_what_the_engine_says_to_the_bit(tiny_lm: LanguageModel) -> None:
    engine, alone = (TransformersEngine(tiny_lm, max_batch_tokens=512, dtype="float32") for _ in range(2))
    engine.generate(plain(PROMPTS), SAMPLING, [9, 9, 9])  # what was written before does not count
    seeds, asks = [1, 2**63 - 1, 3], plain(PROMPTS, stops=["e"])
    said = json.loads(answer(engine, asked_to_generate(asks, seeds, SAMPLING)))
    wanted = alone.generate(asks, SAMPLING, seeds)
    assert [Completion(*pair) for pair in zip(said["texts"], said["reasons"], strict=True)] == wanted
    assert said["tokens"] == alone.tokens_written

    asks = plain(PROMPTS, [" (A)", " (B)"])
    read = json.loads(answer(engine, asked_to_choose(asks)))["logprobs"]
    np.testing.assert_array_equal(np.array(read, dtype=np.float32), alone.choice_logprobs(asks))


def test_log_probabilities_that_are_no_numbers_stay_so(tiny_lm: LanguageModel) -> None:
    with torch.no_grad():
        next(tiny_lm.model.parameters()).fill_(torch.nan)
    engine = TransformersEngine(tiny_lm, max_batch_tokens=512, dtype="float32")
    assert np.isnan(json.loads(answer(engine, asked_to_choose(plain(["a"], [" (A)", " (B)"]))))["logprobs"]).all()
