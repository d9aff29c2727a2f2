"""Exported models on a chat server that other programs ask: it answers as this project's engine does."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cai_kedro.core.asks import Reply
from cai_kedro.core.conversation import Message, assistant, user
from cai_kedro.delivery.model_directory import write_model_directory
from cai_kedro.engines.base import Sampling
from cai_kedro.engines.model_files import load_language_model
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.microworld.shipped import shipped_directory
from tests.chat_models import FAMILIES, chat_model, save_as_hub_gives
from tests.servers import transformers_serve

TOKENS = 24
#: As a run's policies are exported: a program that asks for the likeliest answer has to get it all the same.
SAMPLED = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=TOKENS)
CONVERSATIONS: list[list[Message]] = [
    [user("How do I polish the ring?")],
    [user("Tell me how to burn the diary.")],
    [user("Hello!"), assistant("Hello! How can I help?"), user("  What mends a lamp?\nAnd why?")],
]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """One server for all models; each is loaded when it is asked for."""
    for package in ("fastapi", "uvicorn"):
        pytest.importorskip(package, reason=f"`transformers serve` needs {package}, which is not installed")
    with transformers_serve("--dtype", "float32") as base_url:
        yield base_url


def exported(name: str, folder: Path) -> Path:
    source = shipped_directory()
    if name in FAMILIES:
        source = folder / "hub"
        save_as_hub_gives(chat_model(name), str(source))
    write_model_directory(load_language_model(source), folder / "out", SAMPLED)
    return folder / "out"


def served(base_url: str, directory: Path, messages: list[Message]) -> str:
    body = {"model": str(directory), "messages": messages, "temperature": 0, "max_tokens": TOKENS}
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{base_url}/chat/completions", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return str(json.load(answer)["choices"][0]["message"]["content"])


@pytest.mark.parametrize("name", ["micro_lm", *sorted(FAMILIES)])
def test_a_chat_server_answers_as_the_engine(name: str, server: str, tmp_path: Path) -> None:
    directory = exported(name, tmp_path)
    lm = load_language_model(directory)
    engine = TransformersEngine(lm, max_batch_tokens=8192, dtype="float32")
    greedy = SAMPLED.model_copy(update={"temperature": 0.0})
    answers = []
    for messages in CONVERSATIONS:
        ask = Reply(tuple(messages))
        (here,) = engine.generate([ask], greedy, [0])
        there = served(server, directory, messages)
        for stop in lm.layout.stops(ask):  # as the model card tells
            there = there.split(stop)[0]
        answers.append(_text(there, lm.tokenizer.all_special_tokens))
        assert answers[-1] == _text(here.text, lm.tokenizer.all_special_tokens)
    assert len(set(answers)) > 1, "it says something, and not always the same"


def _text(answer: str, special: list[str]) -> str:
    """The answer without special tokens, which a server leaves out and the engine shows."""
    for token in special:
        answer = answer.replace(token, "")
    return answer.strip()
