"""An exported model answers in `pipeline("text-generation")` as it does in this project's engine."""

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase, pipeline

from cai_kedro.core.asks import Reply
from cai_kedro.core.conversation import Message, assistant, user
from cai_kedro.delivery.model_directory import write_model_directory
from cai_kedro.engines.base import Sampling
from cai_kedro.engines.eos import end_id, eos_ids
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.model_files import load_language_model
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.learning.encoding import encode_answers
from cai_kedro.microworld.shipped import shipped_directory
from tests.chat_models import FAMILIES, chat_model, save_as_hub_gives

GREEDY = Sampling(temperature=0.0, top_p=1.0, max_new_tokens=40)
PROMPTS = [
    "How do I polish the ring?",
    "Tell me how to burn the diary.",
    "Which method mends a lamp?",
    "Hello!",
    "How can I steal the purse from the widow?",
    "What is a good way to clean the boots?",
    "Please help me to poison the dog.",
    "Can you explain how one paints a fence?",
    "I want to forge the letter.",
    "Thank you.",
]


@pytest.fixture(params=sorted(FAMILIES))
def chat_lm(request: pytest.FixtureRequest, tmp_path: Path) -> LanguageModel:
    """A tiny chat model of each family of templates, read as the hub gives it."""
    save_as_hub_gives(chat_model(request.param), str(tmp_path / "hub"))
    return load_language_model(tmp_path / "hub")


def answers_elsewhere(directory: Path, lm: LanguageModel) -> list[str]:
    """What the pipeline says, cut at the layout's stop strings as the model card tells."""
    chat = pipeline("text-generation", model=str(directory), dtype=torch.float32, device="cpu")
    stops = lm.layout.stops(Reply((user("?"),)))
    told = []
    for prompt in PROMPTS:
        (said,) = chat([user(prompt)], return_full_text=False, **({"stop_sequence": list(stops)} if stops else {}))
        text = said["generated_text"]
        told.append(min((text.split(stop)[0] for stop in stops), key=len, default=text).strip())
    return told


def answers_here(directory: Path) -> list[str]:
    engine = TransformersEngine(load_language_model(directory), max_batch_tokens=8192, dtype="float32")
    return [engine.generate([Reply((user(prompt),))], GREEDY, [0])[0].text for prompt in PROMPTS]


def test_the_micro_lm_answers_elsewhere_as_here(tmp_path: Path) -> None:
    lm = load_language_model(shipped_directory())
    write_model_directory(lm, tmp_path, GREEDY)
    told = answers_elsewhere(tmp_path, lm)
    assert told == answers_here(tmp_path)
    assert len(set(told)) > 5, "it says something, and not always the same"


def test_a_chat_model_answers_elsewhere_as_here(chat_lm: LanguageModel, tmp_path: Path) -> None:
    write_model_directory(chat_lm, tmp_path / "out", GREEDY)
    told, here = answers_elsewhere(tmp_path / "out", chat_lm), answers_here(tmp_path / "out")
    # a pipeline leaves special tokens out; the engine shows a turn that a random model opens inside its own
    shown = re.compile("|".join(map(re.escape, chat_lm.tokenizer.all_special_tokens)))
    assert [shown.sub("", text).strip() for text in told] == [shown.sub("", text).strip() for text in here]
    assert len(set(told)) > 5


MESSAGES: list[Message] = [user("Hi."), assistant("Hello!"), user("How do I mend it?")]


def test_the_exported_template_gives_the_tokens_that_training_read(chat_lm: LanguageModel, tmp_path: Path) -> None:
    (trained,) = encode_answers(chat_lm, [MESSAGES], ["With glue."])
    write_model_directory(chat_lm, tmp_path / "out", GREEDY)
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, return_dict=False) == trained.prompt
    whole = tokenizer.apply_chat_template([*MESSAGES, assistant("With glue.")], return_dict=False)
    assert whole[: len(trained.ids)] == trained.ids


def test_the_template_of_base_models_is_the_layout_of_the_training(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    (trained,) = encode_answers(tiny_lm, [MESSAGES], ["With glue."])
    write_model_directory(tiny_lm, tmp_path, GREEDY)
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, return_dict=False) == trained.prompt
    whole = tokenizer.apply_chat_template([*MESSAGES, assistant("With glue.")], return_dict=False)
    assert [*whole, tokenizer.eos_token_id] == trained.ids


def test_weights_are_bfloat16_in_safetensors_and_the_project_reads_them_back(
    chat_lm: LanguageModel, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    write_model_directory(chat_lm, out, GREEDY)
    weights = load_file(out / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    assert json.loads((out / "config.json").read_text())["dtype"] == "bfloat16"
    again = load_language_model(out)
    assert again.layout.kind == "chat"
    assert again.layout.digest == chat_lm.layout.digest


def test_every_token_that_ends_an_answer_and_the_sampling_are_in_the_generation_config(
    chat_lm: LanguageModel, tmp_path: Path
) -> None:
    write_model_directory(chat_lm, tmp_path / "out", Sampling(temperature=0.7, top_p=0.9, max_new_tokens=33))
    config = GenerationConfig.from_pretrained(tmp_path / "out")
    assert tuple(config.eos_token_id) == eos_ids(chat_lm)
    assert config.eos_token_id[0] == end_id(chat_lm.tokenizer, chat_lm.layout), "what training wrote stands first"
    assert (config.do_sample, config.temperature, config.top_p, config.top_k) == (True, 0.7, 0.9, 0)
    assert config.max_new_tokens == 33
    assert config.stop_strings is None, "a pipeline would refuse them"


def test_a_preference_model_is_refused(tiny_lm: LanguageModel, tmp_path: Path) -> None:
    from cai_kedro.learning.preference import with_score_head  # noqa: PLC0415

    scores = LanguageModel(with_score_head(tiny_lm, 0.0, 0), tiny_lm.tokenizer)
    with pytest.raises(ValueError, match="writes no text; only policies are exported"):
        write_model_directory(scores, tmp_path / "new", GREEDY)
    assert not (tmp_path / "new").exists()


def test_a_template_that_gives_other_tokens_is_refused(
    tiny_lm: LanguageModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cai_kedro.delivery.model_directory.chat_template", lambda lm: "{{ messages[0]['content'] }}")
    with pytest.raises(ValueError, match="gives other tokens than the model was trained on, from token 0 on"):
        write_model_directory(tiny_lm, tmp_path / "new", GREEDY)
    assert not (tmp_path / "new").exists()
