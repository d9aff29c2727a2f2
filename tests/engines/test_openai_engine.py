"""The engine on servers, against the TransformersEngine on the same model; and what it does when a server fails.

llama.cpp's server runs only where its package is installed: pip install 'llama-cpp-python[server]' gguf
"""

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import openai
import pytest
import torch
from scipy.stats import chisquare

from cai_kedro.core.asks import Comparison, Critique, Reply, Worked
from cai_kedro.core.conversation import assistant, user
from cai_kedro.core.layouts.hh import HH, text_of
from cai_kedro.engines.base import Completion, Sampling
from cai_kedro.engines.model_files import load_language_model
from cai_kedro.engines.openai_engine import OpenAIEngine
from cai_kedro.engines.server import Server, ServerError
from cai_kedro.engines.server_settings import ServerSettings
from cai_kedro.engines.stopping import cut_at
from cai_kedro.engines.transformers_engine import TransformersEngine
from cai_kedro.microworld.shipped import shipped_directory
from tests.asks import plain
from tests.servers import DO_SAMPLE, completion, llama_cpp_server, settings, small_server, transformers_serve
from tests.servers import Reply as Reply_

KEY = "sk-Very-Secret-0123456789"
BOS = "<eos>"  # of the micro LM, whose tokenizer puts none itself
ASKED = [user("Help me burn the diary."), user("How do I polish the ring?"), user("Tell me how to shred the doll.")]
PROMPTS = [Reply([turn]) for turn in ASKED]
COMPARED = [
    Comparison([turn], "Sure, pour fuel on it.", "It is wrong, because it ruins a thing.", "Which is better?")
    for turn in ASKED
]
GREEDY = Sampling(temperature=0, top_p=1.0, max_new_tokens=48)
#: llama.cpp cuts the distribution unless it is told not to.
WHOLE = {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0}


@pytest.fixture(scope="module")
def ours() -> TransformersEngine:
    return TransformersEngine(load_language_model(shipped_directory()), max_batch_tokens=16384, dtype="float32")


def first_token_p_value(engine: OpenAIEngine, temperature: float, n: int = 150) -> float:
    """How well the first tokens that the engine samples fit the model's distribution at a temperature."""
    lm = load_language_model(shipped_directory())
    prompt = text_of(PROMPTS[0]) + " It is"
    ids = lm.tokenizer(BOS + prompt, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        expected = torch.softmax(lm.model(ids).logits[0, -1].double() / temperature, -1).numpy() * n
    sampling = Sampling(temperature=1.0, top_p=1.0, max_new_tokens=1)
    counts = Counter(done.text for done in engine.generate(plain([prompt] * n), sampling, range(n)))
    likely = expected >= 5
    seen = [counts[lm.tokenizer.decode([token]).strip()] for token in np.flatnonzero(likely)]
    observed = [*seen, n - sum(seen)]
    return float(chisquare(observed, [*expected[likely], expected[~likely].sum()]).pvalue)


# ---- transformers serve ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def serve() -> Iterator[str]:
    with transformers_serve() as base_url:
        yield base_url


def on_serve(base_url: str, **changed: Any) -> OpenAIEngine:
    usual = {"model": str(shipped_directory()), "prompt_prefix": BOS, "logprobs": "none"}
    return OpenAIEngine(settings(base_url, **{**usual, **changed}))


def test_serve_writes_what_we_write(serve: str, ours: TransformersEngine) -> None:
    written = on_serve(serve).generate(PROMPTS, GREEDY, [1, 2, 3])
    assert written == ours.generate(PROMPTS, GREEDY, [1, 2, 3])
    short = GREEDY.model_copy(update={"max_new_tokens": 3})
    cut = on_serve(serve).generate(PROMPTS, short, [1, 2, 3])
    assert cut == ours.generate(PROMPTS, short, [1, 2, 3])
    assert {done.finish_reason for done in cut} == {"length"}


def test_serve_answers_chats(serve: str) -> None:
    """The micro LM's chat template writes the very layout of a prompt; turns have no stop strings, texts have."""
    several = Reply([ASKED[0], assistant("Sure."), ASKED[1]])
    chat, texts = on_serve(serve, api="chat"), on_serve(serve, prompt_prefix="")
    asks = [*PROMPTS, several]
    said = [cut_at(reply.text, HH.stops(asks[0]))[0].strip() for reply in chat.generate(asks, GREEDY, range(4))]
    assert said == [reply.text for reply in texts.generate(asks, GREEDY, range(4))]


def test_serve_that_does_not_sample_is_found_out(serve: str) -> None:
    with pytest.raises(ServerError, match=r"three samples at temperature 1.5 are the same .* needs do_sample"):
        on_serve(serve).check()
    on_serve(serve, extra_body=DO_SAMPLE).check()


def test_serve_samples_from_the_whole_distribution(serve: str) -> None:
    engine = on_serve(serve, extra_body=DO_SAMPLE)
    assert first_token_p_value(engine, temperature=1.0) > 0.001
    assert first_token_p_value(engine, temperature=2.0) < 1e-6  # the test sees a wrong temperature


def test_serve_gives_no_logprobs_and_that_is_said(serve: str) -> None:
    with pytest.raises(ServerError, match="its entry says logprobs: none, but preference labels need"):
        on_serve(serve).choice_logprobs(COMPARED)
    with pytest.raises(ServerError, match="ignores `echo` with `logprobs`"):
        on_serve(serve, logprobs="echo").choice_logprobs(COMPARED)
    with pytest.raises(ServerError, match="lists no likeliest tokens"):
        on_serve(serve, logprobs="next_token").choice_logprobs(COMPARED)
    for logprobs in ("echo", "next_token"):
        with pytest.raises(ServerError, match="ignores"):
            on_serve(serve, logprobs=logprobs, extra_body=DO_SAMPLE).check()


def test_fingerprint_is_of_address_and_model(serve: str) -> None:
    fingerprint = on_serve(serve).fingerprint
    assert on_serve(serve, concurrency=7).fingerprint == fingerprint
    assert on_serve(serve, api="chat").fingerprint != fingerprint  # asked otherwise
    assert on_serve(serve.replace("127.0.0.1", "localhost")).fingerprint != fingerprint


# ---- llama.cpp -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pytest.importorskip("llama_cpp.server", reason="llama-cpp-python[server] is not installed")
    pytest.importorskip("gguf", reason="gguf is not installed")
    from tests.gguf_file import write_micro_lm  # noqa: PLC0415 - needs gguf

    file = tmp_path_factory.mktemp("gguf") / "micro_lm.gguf"
    write_micro_lm(file)
    with llama_cpp_server(file, KEY) as base_url:
        yield base_url


def test_llama_writes_what_we_write(llama: str, ours: TransformersEngine) -> None:
    engine = OpenAIEngine(settings(llama, extra_body=WHOLE), KEY)
    assert engine.generate(PROMPTS, GREEDY, [1, 2, 3]) == ours.generate(PROMPTS, GREEDY, [1, 2, 3])


@pytest.mark.parametrize("logprobs", ["echo", "next_token"])
def test_llama_reads_what_we_read(llama: str, ours: TransformersEngine, logprobs: str) -> None:
    engine = OpenAIEngine(settings(llama, logprobs=logprobs, extra_body=WHOLE), KEY)
    engine.check()
    read = engine.choice_logprobs(COMPARED)
    np.testing.assert_allclose(read, ours.choice_logprobs(COMPARED), atol=2e-3)  # half precision keys
    assert np.ptp(read[:, 0] - read[:, 1]) > 0.1  # the test compares numbers that differ


def test_llama_samples_from_the_whole_distribution_if_told_to(llama: str) -> None:
    engine = OpenAIEngine(settings(llama, extra_body=WHOLE), KEY)
    assert first_token_p_value(engine, temperature=1.0) > 0.001
    assert engine.generate(PROMPTS, GREEDY.model_copy(update={"temperature": 1.0}), [5, 6, 7]) == engine.generate(
        PROMPTS, GREEDY.model_copy(update={"temperature": 1.0}), [5, 6, 7]
    )


def test_llama_refuses_a_wrong_key(llama: str) -> None:
    with pytest.raises(ServerError, match=r"refused the key \(401\); name the right entry of conf/local/cred") as told:
        OpenAIEngine(settings(llama), "sk-wrong").generate(PROMPTS, GREEDY, [1, 2, 3])
    assert "sk-wrong" not in str(told.value)


# ---- servers that fail -----------------------------------------------------------------------------------------------


def test_the_server_is_asked_again_when_it_says(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[float] = []

    def busy_once(body: dict[str, Any], headers: dict[str, str]) -> Reply_:
        calls.append(time.monotonic())
        return (429, {"Retry-After": "1"}, {}) if len(calls) == 1 else (200, {}, completion(" yes"))

    with small_server(busy_once) as base_url:
        engine = OpenAIEngine(settings(base_url, max_retries=2))
        assert engine.generate(plain(["x"]), GREEDY, [1]) == [Completion("yes", "stop")]
        assert calls[1] - calls[0] >= 1
        calls.clear()
        with pytest.raises(ServerError, match="429"):
            OpenAIEngine(settings(base_url)).generate(plain(["x"]), GREEDY, [1])


def test_rows_keep_their_places_and_no_more_are_asked_at_a_time() -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def slow(body: dict[str, Any], headers: dict[str, str]) -> Reply_:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.02 if int(body["prompt"]) % 2 else 0.06)
        with lock:
            now[0] -= 1
        return 200, {}, completion(f" {body['prompt']} {body['seed']}")

    with small_server(slow) as base_url:
        engine = OpenAIEngine(settings(base_url, concurrency=3))
        done = engine.generate(plain([str(i) for i in range(20)]), GREEDY, [2**40 + i for i in range(20)])
    assert [one.text for one in done] == [f"{i} {i}" for i in range(20)]  # seeds fit into 31 bits
    assert most[0] == 3


# a busy machine may need a second for the first answer, which has to come before the server is called stalled
@pytest.mark.parametrize(("timeout_s", "stalled_after_s"), [(0.3, 60), (60, 3.0)])
def test_a_server_that_is_silent_is_not_waited_for(timeout_s: float, stalled_after_s: float) -> None:
    go_on = threading.Event()

    def silent(body: dict[str, Any], headers: dict[str, str]) -> Reply_:
        if body["prompt"] != "first":
            go_on.wait(30)
        return 200, {}, completion(" yes")

    with small_server(silent) as base_url:
        engine = OpenAIEngine(settings(base_url, timeout_s=timeout_s, stalled_after_s=stalled_after_s))
        began = time.monotonic()
        told = r"no answer within 0.3 s in 1 tries" if timeout_s < 1 else r"nothing for 3 s, 1 of 9 rows"
        with pytest.raises(ServerError, match=told):
            engine.generate(plain(["first", *"abcdefgh"]), GREEDY, range(9))
        assert time.monotonic() - began < 15
        go_on.set()


def test_a_server_that_is_not_there_is_named() -> None:
    with (
        small_server(lambda body, headers: (200, {}, {})) as base_url,
        pytest.raises(ServerError, match=r"expected was one choice \(is base_url right"),
    ):
        OpenAIEngine(settings(base_url)).generate(plain(["x"]), GREEDY, [1])
    with pytest.raises(ServerError, match=rf"cannot be reached at {base_url} \(.*refused\); start it or correct"):
        OpenAIEngine(settings(base_url)).generate(plain(["x"]), GREEDY, [1])


def chat(**message: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **message}}
    return {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}


def echo(*values: Any) -> dict[str, Any]:
    tokens = ["x", " (", "A)"]
    return completion("", logprobs={"tokens": tokens, "token_logprobs": list(values), "top_logprobs": None})


def top(**logprobs: Any) -> dict[str, Any]:
    return completion("", logprobs={"tokens": ["a"], "token_logprobs": [-1.0], "top_logprobs": [logprobs]})


TWO = {**completion("a"), "choices": completion("a")["choices"] * 2}
HTML = b"<!doctype html><title>Sign in</title>" + b"<p>" * 200
GENERATE = {"logprobs": "none"}
ECHO, NEXT = {"logprobs": "echo"}, {"logprobs": "next_token"}


def _ask(engine: OpenAIEngine, asked: dict[str, Any]) -> None:
    if asked["logprobs"] == "none":
        engine.generate(plain(["x"]), GREEDY, [1])
    else:
        engine.choice_logprobs(plain(["x"], [" (A)"]))


@pytest.mark.parametrize(
    ("asked", "body", "told"),
    [
        (GENERATE, {}, r"one choice \(is base_url right\?.*\), and got {.*}"),
        (GENERATE, {"choices": None}, "one choice .*and got"),
        (GENERATE, {"choices": "text"}, "one choice, and got"),
        (GENERATE, {"error": {"message": "model is loading"}}, "one choice .*model is loading"),
        (GENERATE, TWO, "one choice, and got"),
        (GENERATE, {"choices": [7]}, "a text as `text`, and got"),
        (GENERATE, completion(None), "a text as `text`, and got"),  # type: ignore[arg-type]
        (GENERATE, completion(["a"]), "a text as `text`, and got"),  # type: ignore[arg-type]
        ({**GENERATE, "api": "chat"}, chat(content=None), "a text as `message.content`, and got"),
        ({**GENERATE, "api": "chat"}, chat(), "a text as `message.content`, and got"),
        ({**GENERATE, "api": "chat"}, {"choices": [{"index": 0}]}, "a text as `message.content`, and got"),
        (GENERATE, b"", "JSON, and got"),
        (GENERATE, b'{"choices": [{"text": "a', "JSON, and got .*is base_url right"),
        (GENERATE, b"\xff\xfe\x00", "JSON, and got .*is base_url right"),
        (ECHO, echo(None, math.nan, -1.0), "a finite number of at most 0 as log-probability, and got NaN"),
        (ECHO, echo(None, "-1.0", -1.0), "a finite number of at most 0 as log-probability, and got '-1.0'"),
        (ECHO, echo(None, None, -1.0), "a finite number of at most 0 as log-probability, and got null"),
        (ECHO, echo(None, -math.inf, -1.0), "a finite number of at most 0 as log-probability, and got -Infinity"),
        (ECHO, echo(None, -1.0, 0.9), "a finite number of at most 0 as log-probability, and got 0.9"),
        (ECHO, echo(None, -1.0), "as many log-probabilities as tokens"),
        (NEXT, top(**{" (A)": math.nan}), "a finite number of at most 0 as log-probability, and got NaN"),
        (NEXT, top(**{" (A)": "high"}), "a finite number of at most 0 as log-probability, and got 'high'"),
        (NEXT, completion("", logprobs={"top_logprobs": [7]}), "a list of likeliest tokens .* and got"),
        (NEXT, completion("", logprobs={"content": [{"token": " (A)"}]}), "a list of likeliest tokens .* and got"),
    ],
)
def test_an_answer_that_is_none_is_asked_for_again_and_then_told(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], body: Any, told: str
) -> None:
    monkeypatch.setattr("cai_kedro.engines.server._FIRST_WAIT_S", 0.01)
    calls: list[int] = []

    def malformed(_: dict[str, Any], headers: dict[str, str]) -> Reply_:
        calls.append(1)
        return 200, {}, body

    with small_server(malformed) as base_url:
        engine = OpenAIEngine(settings(base_url, max_retries=2, **asked))
        address = base_url.split("/")[2]
        begins = f"the server {address}, model 'micro_lm': it answered with status 200, but expected was "
        with pytest.raises(ServerError, match=rf"^{begins}.*{told}") as raised:
            _ask(engine, asked)
    assert len(calls) == 3
    assert len(str(raised.value)) < 500


def test_a_page_of_a_proxy_is_shortened() -> None:
    with small_server(lambda body, headers: (200, {"Content-Type": "text/html"}, HTML)) as base_url:
        engine = OpenAIEngine(settings(base_url))
        with pytest.raises(ServerError, match=r"one choice .*got <!doctype html><title>Sign in.*… \(637 characters\)"):
            engine.generate(plain(["x"]), GREEDY, [1])


def test_one_malformed_answer_does_not_end_a_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cai_kedro.engines.server._FIRST_WAIT_S", 0.01)
    replies = iter([b"", {}, completion(" yes")])
    with small_server(lambda body, headers: (200, {}, next(replies))) as base_url:
        assert OpenAIEngine(settings(base_url, max_retries=2)).generate(plain(["x"]), GREEDY, [1]) == [
            Completion("yes", "stop")
        ]


def test_tokens_that_a_server_rules_out_are_not_likely() -> None:
    with small_server(lambda body, headers: (200, {}, top(**{"A": -0.5, "C": -math.inf}))) as base_url:
        engine = OpenAIEngine(settings(base_url, logprobs="next_token"))
        assert engine.choice_logprobs(plain(["x"], ["A", "B"])).tolist() == [[-0.5, -0.5]]


# ---- the key ---------------------------------------------------------------------------------------------------------


def test_the_key_goes_to_the_server_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    got: list[str] = []

    def talkative(body: dict[str, Any], headers: dict[str, str]) -> Reply_:
        got.append(headers["authorization"])
        return 500, {}, {"error": {"message": f"what does {headers['authorization']} want?"}}

    with small_server(talkative) as base_url:
        engine = OpenAIEngine(settings(base_url, max_retries=1), KEY)
        with pytest.raises(ServerError, match=r"what does Bearer \*\*\* want") as told:
            engine.generate(plain(["x"]), GREEDY, [1])
    assert set(got) == {f"Bearer {KEY}"}
    error: BaseException | None = told.value
    while error is not None:  # what a log of the exception would walk along
        assert KEY not in str(error)
        assert not isinstance(error, openai.OpenAIError), "it holds the request, and that the key"
        error = error.__cause__ or error.__context__
    assert len(caplog.records) > 0
    assert KEY not in caplog.text
    assert KEY not in repr(engine) + repr(engine._server) + repr(engine._settings)


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (f"{KEY}–", "has a character that no key can have at place 26 of 26; copy it again"),
        (f"“{KEY}”", "has a character that no key can have at place 1 of 27"),
        (f"{KEY}\n", "has a character that no key can have at place 26 of 26"),
        (f"Bearer {KEY}", "has a character that no key can have at place 7 of 32"),
        (123456789, "is no text but int; put it into quotes"),
        ("", "is empty; give the key, or remove `credentials`"),
    ],
)
def test_a_key_that_no_header_can_carry_is_told_before_anything_is_sent(key: Any, told: str) -> None:
    with pytest.raises(ServerError, match=rf"^the `api_key` in conf/local/credentials.yml {told}") as raised:
        OpenAIEngine(settings("http://127.0.0.1:9/v1"), key)
    assert "Secret" not in str(raised.value)
    assert "123" not in str(raised.value)


def test_no_other_key_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    got: list[str] = []

    def note(body: dict[str, Any], headers: dict[str, str]) -> Reply_:
        got.extend(headers.values())
        return 200, {}, completion(" yes")

    with small_server(note) as base_url:
        OpenAIEngine(settings(base_url)).generate(plain(["x"]), GREEDY, [1])
    assert KEY not in " ".join(got)


# ---- what may be asked -----------------------------------------------------------------------------------------------


def test_a_chat_is_asked_in_turns() -> None:
    got: list[Any] = []

    def note(body: dict[str, Any], headers: dict[str, str]) -> Reply_:
        got.append(body["messages"])
        return 200, {}, chat(content="No.")

    messages = [ASKED[0], assistant("Sure."), ASKED[1]]
    with small_server(note) as base_url:
        engine = OpenAIEngine(settings(base_url, api="chat", logprobs="none"))
        engine.generate([Reply(messages)], GREEDY, [1])
        engine.generate([Critique(messages, "With a cloth.", "Find harm.")], GREEDY, [1])
    assert got == [messages, [*messages, assistant("With a cloth."), user("Find harm.")]]


def listing(**tokens: float) -> dict[str, Any]:
    """What a chat server answers that lists the likeliest first tokens."""
    top_logprobs = [{"token": token, "logprob": value, "bytes": None} for token, value in tokens.items()]
    content = [{"token": "A", "logprob": -0.1, "bytes": None, "top_logprobs": top_logprobs}]
    answer = chat(content="A")
    answer["choices"][0]["logprobs"] = {"content": content, "refusal": None}
    return answer


def test_a_chat_gives_the_letters_by_its_first_token() -> None:
    got: list[Any] = []

    def note(body: dict[str, Any], headers: dict[str, str]) -> Reply_:
        got.append(body)
        return 200, {}, listing(**{"A": math.log(0.5), " (B": math.log(0.2), "B": math.log(0.1), "The": math.log(0.1)})

    worked = Worked(Comparison([user("Hi")], "a", "b", "Which?"), "B")
    with small_server(note) as base_url:
        engine = OpenAIEngine(settings(base_url, api="chat", logprobs="next_token", top_logprobs=4))
        read = engine.choice_logprobs([replace(COMPARED[0], examples=(worked,))])
    np.testing.assert_allclose(np.exp(read), [[0.5, 0.3]], rtol=1e-6)
    (body,) = got
    assert (body["logprobs"], body["top_logprobs"], body["max_tokens"]) == (True, 4, 1)
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][1]["content"] == "B"
    assert body["messages"][2]["content"].endswith("Answer with the letter alone, A or B.")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (chat(content="A"), "it lists no likeliest tokens: it ignores `logprobs`"),
        (listing(**{"Sure": -0.1, "I": -3.0}), r"none of \['A', 'B'\] begins with one of the 2 tokens that it lists"),
    ],
)
def test_a_chat_without_letters_is_found_out(answer: dict[str, Any], told: str) -> None:
    with small_server(lambda body, headers: (200, {}, answer)) as base_url:
        engine = OpenAIEngine(settings(base_url, api="chat", logprobs="next_token"))
        with pytest.raises(ServerError, match=told):
            engine.choice_logprobs(COMPARED[:1])


def test_a_chat_echoes_nothing() -> None:
    with pytest.raises(ValueError, match="with api: chat, logprobs must be next_token or none"):
        settings("http://127.0.0.1:9/v1", api="chat", logprobs="echo")


@pytest.mark.parametrize(
    ("base_url", "match"),
    [
        ("127.0.0.1:8000/v1", "must be an address such as"),
        (f"http://me:{KEY}@127.0.0.1/v1", "keys belong into credentials.yml"),
        (f"http://127.0.0.1/v1?key={KEY}", "keys belong into credentials.yml"),
    ],
)
def test_an_address_holds_no_key(base_url: str, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        settings(base_url)


def test_what_cannot_be_asked() -> None:
    engine = OpenAIEngine(settings("http://127.0.0.1:9/v1"))
    with pytest.raises(ValueError, match="2 prompts and 1 seeds"):
        engine.generate(plain(["a", "b"]), GREEDY, [1])
    with pytest.raises(ValueError, match="some text"):
        engine.choice_logprobs(plain(["a"], ["", " (A)"]))
    assert engine.generate([], GREEDY, []) == []
    assert engine.choice_logprobs([]).shape == (0, 2)


def test_one_row_that_fails_stops_the_others() -> None:
    server = Server(ServerSettings.model_validate(settings("http://127.0.0.1:9/v1", concurrency=2)))
    asked: list[int] = []

    def ask(row: int) -> int:
        asked.append(row)
        if row == 3:
            raise ServerError("row 3")
        time.sleep(0.01)
        return row

    with pytest.raises(ServerError, match="row 3"):
        server.each(ask, range(1000))
    assert len(asked) < 20
