import gzip
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cai_kedro.core.conversation import (
    ASSISTANT,
    HUMAN,
    Message,
    as_messages,
    as_prompt,
    assistant,
    parse,
    render,
    user,
)
from cai_kedro.engines.language_model import LanguageModel
from tests.core.paths import HH_TEST, needs_hh

CHAT = [user("How do I fix the sink?"), assistant("Turn the water off."), user("And then?")]

contents = (
    st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("\n :\x00\x1f\u2028")))
    .map(str.strip)
    .filter(lambda text: HUMAN not in f"\n\n{text}" and ASSISTANT not in f"\n\n{text}")
)
conversations = st.lists(st.builds(Message, role=st.sampled_from(["user", "assistant"]), content=contents), min_size=1)


def test_render_and_as_prompt_byte_for_byte() -> None:
    rendered = "\n\nHuman: How do I fix the sink?\n\nAssistant: Turn the water off.\n\nHuman: And then?"
    assert render(CHAT) == rendered
    assert as_prompt(CHAT) == rendered + "\n\nAssistant:"


@given(conversations)
def test_parse_undoes_render(messages: list[Message]) -> None:
    assert parse(render(messages)) == messages


@given(conversations)
def test_parse_shows_the_turn_that_waits(messages: list[Message]) -> None:
    assert parse(as_prompt(messages)) == [*messages, assistant("")]


def test_parse_keeps_markers_that_open_no_paragraph() -> None:
    text = "\n\nHuman: Say Human: and\nAssistant: please\n\nAssistant: Human: fine\n\nhuman: Humans: too"
    assert parse(text) == [
        user("Say Human: and\nAssistant: please"),
        assistant("Human: fine\n\nhuman: Humans: too"),
    ]


@pytest.mark.parametrize("text", ["", "hello", "Human: hello", "\nHuman: hello", " \n\nHuman: hello"])
def test_parse_refuses_a_text_without_an_opening_turn(text: str) -> None:
    with pytest.raises(ValueError, match=r"must start with '\\n\\nHuman:' or '\\n\\nAssistant:', got "):
        parse(text)


def test_as_messages_reads_what_parquet_gives() -> None:
    cell = np.array([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}], dtype=object)
    assert as_messages(cell) == [user("hi"), assistant("hello")]


@pytest.mark.parametrize("messages", [CHAT, CHAT[:2], [user(" spaces \n and {{ braces }} ")], [assistant("first")]])
def test_chat_template_writes_what_render_writes(tiny_lm: LanguageModel, messages: list[Message]) -> None:
    template: Any = tiny_lm.tokenizer.apply_chat_template
    assert template(messages, tokenize=False) == render(messages)
    assert template(messages, tokenize=False, add_generation_prompt=True) == as_prompt(messages)


@needs_hh
def test_parse_reads_every_recorded_conversation() -> None:
    # Recorded data have "Human:" inside turns and empty answers; nothing but space around turns may get lost.
    empty = inside = 0
    with gzip.open(HH_TEST, "rt", encoding="utf-8", newline="\n") as lines:
        texts = [text for line in lines for text in json.loads(line).values()]
    for text in texts:
        messages = parse(text)
        assert messages[0]["role"] == "user"
        assert "".join(render(messages).split()) == "".join(text.split())
        empty += any(not turn["content"] for turn in messages)
        inside += any("Human:" in turn["content"] for turn in messages)
    assert len(texts) == 2 * 2312
    assert empty > 0
    assert inside > 0
