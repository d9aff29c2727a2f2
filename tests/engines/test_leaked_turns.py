"""What a model writes of a chat template's turns does not come out as an answer."""

import copy
import logging

import pytest
import torch
from tokenizers import AddedToken

from cai_kedro.engines.base import Sampling
from cai_kedro.engines.fitting import EMPTY, generate_fitting, trouble_of
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.leaked_turns import without_leaked_turns
from cai_kedro.engines.transformers_engine import TransformersEngine
from tests.asks import plain
from tests.conftest import ScriptedEngine

SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=60)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("model\nI cannot help.", "I cannot help."),
        (" assistant\n\nI cannot.\nReally.", "I cannot.\nReally."),
        ("model\nmodel \nYes.", "Yes."),
        ("Model\nYes.", "Yes."),
        ("ASSISTANT\r\n\r\nYes.", "Yes."),
        ("User\nHow?", ""),
        ("<start_of_turn>model\nYes.<end_of_turn>\n<start_of_turn>user\nAnd?", "Yes."),
        ("<|start_header_id|>assistant<|end_header_id|>\n\nYes.<|eot_id|>", "Yes."),
        ("<|im_start|>assistant\nYes.<|im_end|>\n<|im_start|>user", "Yes."),
        ("<|assistant|>\nYes.\n<|user|>\nNo?", "Yes."),
        ("<｜Assistant｜>Yes.", "Yes."),
        ("[/INST] Yes. [INST] No?", "Yes."),
        ("user\nHow do I do that?", ""),
        ("<|im_start|>user\nHow?<|im_end|>", ""),
        ("<start_of_turn>model\n", ""),
        # text that only looks like it
        ("model", "model"),
        ("The model\nis fine.", "The model\nis fine."),
        ("Model trains are fun.\nmodel\n", "Model trains are fun.\nmodel"),
        ("user friendly\nthings", "user friendly\nthings"),
        ("a <b> and | c |> <|", "a <b> and | c |> <|"),
        ("", ""),
    ],
)
def test_only_the_assistants_own_turn_is_left(text: str, said: str) -> None:
    assert without_leaked_turns(text) == said
    assert without_leaked_turns(said) == said


def test_every_sampling_stage_gets_answers_without_them(caplog: pytest.LogCaptureFixture) -> None:
    written = {1: "model\nNo, that would hurt her.", 2: "No.", 3: "user\nAnd why?"}
    engine = ScriptedEngine(reply=lambda prompt, seed: written[seed])
    with caplog.at_level(logging.WARNING):
        completions = generate_fitting(engine, plain(["a", "b", "c"]), SAMPLING, [1, 2, 3])
    assert [completion.text for completion in completions if completion] == ["No, that would hurt her.", "No.", ""]
    assert [trouble_of(completion) for completion in completions] == [None, None, EMPTY]
    assert "2 of 3 completions held a turn of a chat template, such as 'model\\nNo, that" in caplog.text


def gemma_like(lm: LanguageModel) -> LanguageModel:
    """Return the model with Gemma's turn tokens, one of which ends an answer."""
    tokenizer = copy.deepcopy(lm.tokenizer)
    tokenizer.add_tokens([AddedToken(name, special=True) for name in ("<start_of_turn>", "<end_of_turn>")])
    lm.model.resize_token_embeddings(len(tokenizer))
    lm.model.generation_config.eos_token_id = [1, tokenizer.convert_tokens_to_ids("<end_of_turn>")]
    return LanguageModel(lm.model, tokenizer)


@pytest.mark.parametrize(
    ("written", "text", "finish_reason"),
    [
        ("<start_of_turn>model\nYes.<end_of_turn>", "Yes.", "stop"),
        ("Yes.<start_of_turn>user\nNo?<end_of_turn>", "Yes.", "stop"),
        ("model\nYes.<eos>", "Yes.", "stop"),
        ("Yes.<end_of_turn>", "Yes.", "stop"),
        ("Yes.", "Yes.", "length"),
    ],
)
def test_control_tokens_in_an_answer_are_seen(
    written: str, text: str, finish_reason: str, tiny_lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = gemma_like(tiny_lm)
    ids = lm.tokenizer(written, add_special_tokens=False)["input_ids"]
    tokens = iter(ids)
    monkeypatch.setattr("cai_kedro.engines.sampling.draw", lambda *_: torch.tensor([next(tokens)]))
    engine = TransformersEngine(lm, max_batch_tokens=1000, dtype="float32")
    sampling = SAMPLING.model_copy(update={"max_new_tokens": len(ids)})
    (completion,) = generate_fitting(engine, plain(["hello"]), sampling, [0])
    assert completion is not None
    assert (completion.text, completion.finish_reason) == (text, finish_reason)
