"""One prompt that is too long must not stop the others, nor change what they get."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cai_kedro.core.asks import Ask, Plain, Reply
from cai_kedro.core.conversation import assistant, user
from cai_kedro.engines.base import Completion, PromptTooLongError, Sampling
from cai_kedro.engines.fitting import EMPTY, TOO_LONG, generate_fitting, logprobs_fitting, trouble_of, unread
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import load_language_model
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.learning.encoding import encode_pairs, without_refused
from cai_kedro.learning.rollouts import encode_prompts
from tests.asks import plain
from tests.chat_models import chat_model
from tests.conftest import ScriptedEngine

SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=8)
LONG = "x" * 1100  # the context is 1,024 tokens, one a byte
PROMPTS = ["How?", LONG, "Why not?", LONG]
SEEDS = [1, 2, 3, 4]
LETTERS = (" (A)", " (B)")


@pytest.fixture
def engine(tiny_lm: LanguageModel) -> TransformersEngine:
    return TransformersEngine(tiny_lm, max_batch_tokens=4096, dtype="float32")


def test_an_engine_names_every_row_that_is_too_long(engine: TransformersEngine) -> None:
    with pytest.raises(PromptTooLongError, match=r"the prompt of row 1 has 1101 tokens .* context is 1024") as raised:
        engine.generate(plain(PROMPTS), SAMPLING, SEEDS)
    assert raised.value.rows == (1, 3)
    assert engine.tokens_written == 0
    with pytest.raises(PromptTooLongError) as raised:
        engine.choice_logprobs(plain(PROMPTS, LETTERS))
    assert raised.value.rows == (1, 3)


def test_the_others_get_what_they_would_get_alone(engine: TransformersEngine) -> None:
    said = generate_fitting(engine, plain(PROMPTS), SAMPLING, SEEDS)
    alone = engine.generate(plain(PROMPTS[::2]), SAMPLING, [1, 3])
    assert said == [alone[0], None, alone[1], None]
    logprobs = logprobs_fitting(engine, plain(PROMPTS, LETTERS))
    assert np.isnan(logprobs[[1, 3]]).all()
    np.testing.assert_allclose(logprobs[[0, 2]], engine.choice_logprobs(plain(PROMPTS[::2], LETTERS)), rtol=1e-5)


def strict(folder: Path) -> LanguageModel:
    """A model whose template wants the user to begin, as its owner saved it."""
    lm = chat_model("turns")
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return load_language_model(folder)


def test_a_conversation_that_a_strict_template_refuses_stops_no_other(tmp_path: Path) -> None:
    engine = TransformersEngine(strict(tmp_path), max_batch_tokens=4096, dtype="float32")
    opened = Reply([assistant("May I help?"), user("How?")])
    asks = [Reply([user("How?")]), opened, Reply([user("Why?")])]
    said = generate_fitting(engine, asks, SAMPLING, [1, 2, 3])
    alone = engine.generate([asks[0], asks[2]], SAMPLING, [1, 3])
    assert [said[0], said[2]] == alone
    assert str(trouble_of(said[1])).startswith(
        "the model's chat template refuses a conversation of the turns assistant, user (Conversation roles must"
    )
    assert trouble_of(said[1]) == unread(said[1])
    assert engine.fits(asks, 8) == [True, False, True]


def test_training_leaves_it_out_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lm = strict(tmp_path)
    conversations = [[assistant("May I help?"), user("How?")], [user("How?")]]
    table = pd.DataFrame({"prompt_id": ["a", "b"], "messages": conversations})
    assert list(without_refused(lm, table)["prompt_id"]) == ["b"]
    assert "1 of 2 rows are left out: the model's chat template refuses" in caplog.text
    assert encode_prompts(table, lm, 500).prompt_ids == ["b"]
    pairs = table.assign(response_a="So.", response_b="Not so.", p_a_better=[0.9, 0.2])
    assert [pair.p_a_better for pair in encode_pairs(lm, pairs, 500, "max_length")] == [0.2]
    with pytest.raises(ValueError, match="the chat template refuses all 1 comparisons"):
        encode_pairs(lm, pairs.head(1), 500, "max_length")


def test_nothing_fits(engine: TransformersEngine) -> None:
    assert generate_fitting(engine, plain([LONG]), SAMPLING, [1]) == [None]
    assert np.isnan(logprobs_fitting(engine, plain([LONG], LETTERS))).all()


def test_trouble() -> None:
    assert trouble_of(None) == TOO_LONG
    assert trouble_of(Completion(" \n", "stop")) == EMPTY
    assert trouble_of(Completion("Yes.", "length")) is None


def test_a_model_without_numbers_is_no_row_in_trouble(scripted_engine: type) -> None:
    engine = scripted_engine(prefer=lambda prompt: (float("nan"), -1.0))
    with pytest.raises(FloatingPointError, match="its weights have diverged"):
        logprobs_fitting(engine, plain(["a"], LETTERS))


def test_tokens_are_counted(engine: TransformersEngine) -> None:
    engine.generate(plain(["How?", "Why?"]), Sampling(temperature=0.0, top_p=1.0, max_new_tokens=3), [1, 2])
    assert 2 <= engine.tokens_written <= 6


def test_an_engine_may_name_rows_one_after_another(scripted_engine: type) -> None:
    class Server(scripted_engine):  # type: ignore[misc, valid-type]
        def generate(self, asks: Sequence[Plain], *arguments: Any) -> list[Completion]:
            for row, ask in enumerate(asks):
                if ask.text == LONG:
                    raise PromptTooLongError("too long", [row])
            return super().generate(asks, *arguments)

    said = generate_fitting(Server(reply=lambda prompt, seed: f"{prompt} {seed}"), plain(PROMPTS), SAMPLING, SEEDS)
    assert [completion.text if completion else None for completion in said] == ["How? 1", None, "Why not? 3", None]


def test_no_rows_are_no_trouble(engine: TransformersEngine) -> None:
    assert generate_fitting(engine, [], SAMPLING, []) == []
    assert logprobs_fitting(engine, []).shape == (0, 2)


@pytest.mark.parametrize(
    ("logprobs", "message"),
    [
        ((-0.5,), r"Engine.choice_logprobs must return \(asks, choices\) = \(2, 2\), got \(2, 1\)"),
        (
            (0.7, 0.3),
            r"2 of 2 asks what is no log-probability, first row 0: \[0\.7, 0\.3\]; expected nats, at most 0",
        ),
        ((-np.inf, -np.inf), r"first row 0: \[-inf, -inf\]; expected nats"),
    ],
)
def test_what_is_no_log_probability_is_told(logprobs: tuple[float, ...], message: str) -> None:
    class Engine(ScriptedEngine):
        def choice_logprobs(self, asks: Sequence[Ask]) -> np.ndarray:
            return np.array([logprobs] * len(asks))

    with pytest.raises(ValueError, match=message):
        logprobs_fitting(Engine(), plain(["a", "b"], LETTERS))


def test_an_impossible_choice_beside_a_possible_one_is_fine(scripted_engine: type[ScriptedEngine]) -> None:
    read = logprobs_fitting(scripted_engine(prefer=lambda prompt: (0.0, -np.inf)), plain(["a"], LETTERS))
    assert read.tolist() == [[0.0, -np.inf]]
