"""An exported model answers in `pipeline("text-generation")` as it does in this project's engine."""

import copy
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, GenerationConfig, PreTrainedTokenizerBase, pipeline

from cai_kedro.core.asks import Reply
from cai_kedro.core.conversation import Message, assistant, user
from cai_kedro.delivery.model_directory import write_model_directory
from cai_kedro.engines.base import Sampling
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.layout_files import layout_of
from cai_kedro.engines.model_files import load_language_model
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.learning.encoding import encode_answers
from cai_kedro.microworld.shipped import shipped_directory

GREEDY = Sampling(temperature=0.0, top_p=1.0, max_new_tokens=40)
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
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


@pytest.fixture
def chat_lm(tiny_lm: LanguageModel) -> LanguageModel:
    """A tiny chat model with ChatML and two tokens that end."""
    tokenizer = copy.deepcopy(tiny_lm.tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = CHATML
    model = tiny_lm.model
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        model.get_input_embeddings().weight.data[-2:].normal_(0, 0.3)
    return LanguageModel(model, tokenizer, layout_of(tokenizer, "chat", Path("here")))


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
    write_model_directory(chat_lm, tmp_path, GREEDY)
    told = answers_elsewhere(tmp_path, chat_lm)
    # a pipeline leaves special tokens out; the engine shows a turn that a random model opens inside its own
    assert told == [text.replace("<|im_start|>", "") for text in answers_here(tmp_path)]
    assert len(set(told)) > 5


@pytest.mark.parametrize("layout", ["hh", "chat"])
def test_the_exported_template_gives_the_tokens_that_training_read(
    layout: str, tiny_lm: LanguageModel, chat_lm: LanguageModel, tmp_path: Path
) -> None:
    lm = chat_lm if layout == "chat" else tiny_lm
    messages: list[Message] = [user("Hi."), assistant("Hello!"), user("How do I mend it?")]
    (trained,) = encode_answers(lm, [messages], ["With glue."])
    write_model_directory(lm, tmp_path, GREEDY)
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(tmp_path)
    asked = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert asked == trained.prompt
    whole = tokenizer.apply_chat_template([*messages, assistant("With glue.")], return_dict=False)
    end = trained.ids.index(trained.ids[-1], len(trained.prompt))
    assert whole[:end] == trained.ids[:end]


def test_weights_are_bfloat16_in_safetensors_and_the_project_reads_them_back(
    chat_lm: LanguageModel, tmp_path: Path
) -> None:
    write_model_directory(chat_lm, tmp_path, GREEDY)
    weights = load_file(tmp_path / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"
    again = load_language_model(tmp_path)
    assert again.layout.kind == "chat"
    assert again.layout.digest == chat_lm.layout.digest


def test_every_token_that_ends_an_answer_and_the_sampling_are_in_the_generation_config(
    chat_lm: LanguageModel, tmp_path: Path
) -> None:
    write_model_directory(chat_lm, tmp_path, Sampling(temperature=0.7, top_p=0.9, max_new_tokens=33))
    config = GenerationConfig.from_pretrained(tmp_path)
    ends = chat_lm.tokenizer.convert_tokens_to_ids(["<|im_end|>", "<eos>"])
    assert config.eos_token_id == ends, "the end of a turn first"
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
