"""A completion in pieces is the completion."""

import pytest

from cai_kedro.core.asks import Plain, Reply
from cai_kedro.core.conversation import user
from cai_kedro.engines.base import Sampling
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import load_language_model
from cai_kedro.engines.pieces import Pieces
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.microworld.shipped import shipped_directory


def grown(texts: list[str], stop: tuple[str, ...] = ()) -> list[str]:
    heard: list[str] = []
    pieces = Pieces(stop, heard.append)
    for text in texts:
        pieces.grow(text)
    return heard


def test_space_around_the_text_is_not_told_before_more_follows() -> None:
    assert grown([" ", " Hi", " Hi ", " Hi there"]) == ["Hi", " there"]


def test_half_a_character_waits_for_its_rest() -> None:
    assert grown(["caf\ufffd", "café"]) == ["caf", "é"]


def test_what_may_begin_a_stop_string_waits() -> None:
    stop = ("\n\nHuman:",)
    assert grown(["So", "So\n", "So\n\nHu", "So\n\nHuman", "So\n\nHuman:"], stop) == ["So"]
    assert grown(["So\n\nHu", "So\n\nHunger"], stop) == ["So", "\n\nHunger"]


def test_the_end_tells_what_was_held_back() -> None:
    heard: list[str] = []
    pieces = Pieces(("END",), heard.append)
    pieces.grow("the E")
    pieces.end("the E")
    assert heard == ["the", " E"]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_streamed_answer_is_the_sampled_one(tiny_lm: LanguageModel, temperature: float) -> None:
    engine = TransformersEngine(tiny_lm, max_batch_tokens=4096, dtype="float32")
    sampling = Sampling(temperature=temperature, top_p=1.0, max_new_tokens=40)
    told = []
    for seed in range(4):
        for ask in (Reply((user("Hello"),)), Plain("Once upon", stops=("e", "a"))):
            heard: list[str] = []
            streamed = engine.stream(ask, sampling, seed, heard.append)
            assert [streamed] == engine.generate([ask], sampling, [seed])
            assert "".join(heard) == streamed.text
            told.append(len(heard))
    assert max(told) > 5, "it came in pieces"


def test_an_answer_of_the_micro_lm_comes_word_by_word() -> None:
    engine = TransformersEngine(load_language_model(shipped_directory()), max_batch_tokens=4096, dtype="float32")
    heard: list[str] = []
    sampling = Sampling(temperature=0.0, top_p=1.0, max_new_tokens=48)
    answer = engine.stream(Reply((user("How do I polish the ring?"),)), sampling, 0, heard.append)
    assert "".join(heard) == answer.text
    assert len(heard) > 3
