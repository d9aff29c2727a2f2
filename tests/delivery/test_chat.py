"""A chat in a pipe and in a terminal: what is asked of the engines, and what is shown."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from cai_kedro.core.asks import Reply
from cai_kedro.core.conversation import assistant, system, user
from cai_kedro.delivery.chat import Answer, Chat, Speaker
from cai_kedro.delivery.terminal_chat import TerminalChat, preferred, side_by_side
from cai_kedro.engines.base import Completion, PromptTooLongError, Sampling
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.learning.preference import score_responses, with_score_head

SAMPLING = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=8)


class Echo:
    """An engine that says what it was asked last, how many turns it saw, and with which seed."""

    fingerprint = "echo"

    def __init__(self, name: str = "echo") -> None:
        self.name = name
        self.asks: list[Reply] = []
        self.seeds: list[int] = []

    def generate(self, asks: Any, sampling: Sampling, seeds: Any) -> list[Completion]:
        self.asks += asks
        self.seeds += seeds
        return [Completion(f"{self.name} heard {ask.messages[-1]['content']}", "stop") for ask in asks]


def talked(lines: list[str], *engines: Any, width: int | None = None, scorer: LanguageModel | None = None) -> str:
    written: list[str] = []
    speakers = [Speaker(f"policy_{i}", engine) for i, engine in enumerate(engines)]
    TerminalChat(Chat(speakers, SAMPLING, 0, scorer), written.append, width, "arm" if scorer else "").talk(lines)
    return "".join(written)


def test_a_piped_chat_shows_both_sides_and_remembers_what_was_said() -> None:
    engine = Echo()
    out = talked(["Hello\n", "\n", "And then?\n"], engine)
    assert out == ("human: Hello\npolicy_0: echo heard Hello\nhuman: And then?\npolicy_0: echo heard And then?\n")
    assert list(engine.asks[1].messages) == [user("Hello"), assistant("echo heard Hello"), user("And then?")]


def test_reset_system_and_quit() -> None:
    engine = Echo()
    out = talked(["One", "/reset", "Two", "/system Be brief.", "Three", "/reset", "Four", "/quit", "Five"], engine)
    assert [list(ask.messages) for ask in engine.asks] == [
        [user("One")],
        [user("Two")],
        [system("Be brief."), user("Three")],
        [system("Be brief."), user("Four")],
    ]
    assert "The conversation begins anew, with that system turn." in out


def test_an_unknown_command_is_no_question() -> None:
    engine = Echo()
    assert "There is no command /restart; there are\n/system TEXT" in talked(["/restart now"], engine)
    assert not engine.asks


def test_the_same_words_at_the_same_place_get_the_same_draw() -> None:
    first, again = Echo(), Echo()
    talked(["Hello", "More"], first)
    talked(["Hello", "/reset", "Hello"], again)
    assert again.seeds[0] == again.seeds[1] == first.seeds[0] != first.seeds[1]


def test_two_policies_each_have_their_own_past() -> None:
    one, other = Echo("one"), Echo("other")
    out = talked(["Hi", "So?"], one, other)
    assert one.asks[1].messages[1] == assistant("one heard Hi")
    assert other.asks[1].messages[1] == assistant("other heard Hi")
    assert one.seeds == other.seeds
    assert out.index("policy_0: one heard Hi") < out.index("policy_1: other heard Hi")


def test_a_wide_terminal_has_two_columns() -> None:
    out = talked(["Hi"], Echo("one"), Echo("other"), width=100)
    assert any("one heard Hi" in line and "other heard Hi" in line for line in out.splitlines())
    narrow = talked(["Hi"], Echo("one"), Echo("other"), width=60)
    assert not any("one heard Hi" in line and "other heard Hi" in line for line in narrow.splitlines())


def test_columns_are_as_wide_as_the_terminal_and_keep_their_paragraphs() -> None:
    text = side_by_side([Answer("a", "word " * 30, False, None), Answer("b", "one\n\ntwo", False, None)], 80)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split(" │ ")[1].strip() if " │ " in line else "" for line in lines[2:5]] == ["one", "", "two"]


def test_a_conversation_that_is_too_long_can_begin_anew() -> None:
    class Full(Echo):
        def generate(self, asks: Any, sampling: Sampling, seeds: Any) -> list[Completion]:
            if len(asks[0].messages) > 1:
                raise PromptTooLongError("the prompt of row 0 has 99 tokens", [0])
            return super().generate(asks, sampling, seeds)

    out = talked(["Hi", "More", "/reset", "Again"], Full())
    assert "the prompt of row 0 has 99 tokens" in out
    assert "/reset begins anew" in out
    assert "echo heard Again" in out


def test_control_characters_of_a_model_do_not_reach_the_terminal() -> None:
    class Rings(Echo):
        def generate(self, asks: Any, sampling: Sampling, seeds: Any) -> list[Completion]:
            return [Completion("ding\x07\x1b[2J", "length")]

    out = talked(["Hi"], Rings())
    assert r"ding\x07\x1b[2J" in out
    assert "cut at the limit of new tokens" in out


def test_the_score_is_that_of_the_preference_model(tiny_lm: LanguageModel) -> None:
    scorer = LanguageModel(with_score_head(tiny_lm, 1.0, 0), tiny_lm.tokenizer)
    out = talked(["Hi"], Echo("one"), Echo("other"), scorer=scorer)
    scores = score_responses(scorer, [[user("Hi")]] * 2, ["one heard Hi", "other heard Hi"], 2)
    assert f"[score {scores[0]:+.2f}]" in out
    assert f"[score {scores[1]:+.2f}]" in out
    p = 1 / (1 + math.exp(-abs(float(scores[0] - scores[1]))))
    assert f"prefers policy_{int(scores.argmax())} with p = {p:.2f}" in out


def test_which_answer_is_preferred() -> None:
    answers = [Answer("a", "", False, 0.0), Answer("b", "", False, math.log(3))]
    assert preferred(answers) == "  [the preference model prefers b with p = 0.75]\n"
    assert preferred([answers[0], Answer("b", "", False, 0.0)]) == "  [the preference model prefers neither]\n"
    assert preferred([answers[0], Answer("b", "", False, None)]) == ""


def test_an_engine_that_streams_is_heard_in_pieces(tiny_lm: LanguageModel) -> None:
    engine = TransformersEngine(tiny_lm, max_batch_tokens=4096, dtype="float32")
    heard: list[str] = []
    write: Callable[[str], None] = heard.append
    speaker = Speaker("p", engine)
    answer = Chat([speaker], Sampling(temperature=1.0, top_p=1.0, max_new_tokens=40), 3).answer(speaker, "Hi", write)
    assert "".join(heard) == answer.text
    assert len(heard) > 3
    assert speaker.messages[-1] == assistant(answer.text)


@pytest.mark.parametrize("line", ["/system", "/system  "])
def test_a_system_turn_can_be_taken_away(line: str) -> None:
    engine = Echo()
    out = talked(["/system Be brief.", line, "Hi"], engine)
    assert list(engine.asks[0].messages) == [user("Hi")]
    assert "without a system turn" in out
