"""A TextEngine on a server that speaks OpenAI's protocol (extra `client`)."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from cai_kedro.core.asks import Ask, Comparison, Reply, common, n_choices
from cai_kedro.core.conversation import user
from cai_kedro.core.layouts.base import Layout
from cai_kedro.core.layouts.chat import SERVED
from cai_kedro.core.layouts.hh import HH
from cai_kedro.engines.base import Completion, Sampling
from cai_kedro.engines.server import Server, ServerError
from cai_kedro.engines.server_answers import completed, only_choice, replied
from cai_kedro.engines.server_logprobs import echoed_logprob, first_word_logprobs, likeliest_next, walked_logprobs
from cai_kedro.engines.server_settings import ServerSettings
from cai_kedro.engines.stopping import cut_at

_SEEDS = 2**31  # some servers take no larger seed
_PROBE = Reply([user("Say something.")])
_LETTERS = Comparison([user("Say something.")], "No.", "Gladly.", "Which response is better?")
_FREE = Sampling(temperature=1.5, top_p=1.0, max_new_tokens=24)
_ONE_TOKEN: Mapping[str, Any] = {"max_tokens": 1, "temperature": 1.0, "top_p": 1.0}


class OpenAIEngine:
    """Samples and reads log-probabilities over HTTP, `concurrency` requests at a time.

    `api: chat` sends turns, around which the server puts the model's chat template; `api: completions` sends texts in
    the layout of base models. Every request carries its row's seed; whether the same seed gives the same text is up to
    the server.
    """

    def __init__(self, settings: ServerSettings, api_key: str | None = None) -> None:
        self._settings = settings
        self._server = Server(settings, api_key)

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 of the server's address, the names of the model, ours and the server's, and the layout.

        A server that changes its weights under the same name keeps its fingerprint: nothing tells.
        """
        if self._settings.api == "chat":
            name = self._server.chat(_model_name, [{"role": "user", "content": "Hello"}], **_ONE_TOKEN)
        else:
            name = self._server.completion(_model_name, HH.prompt(_PROBE).text, **_ONE_TOKEN)
        # the last part of a name only: where a server keeps its models says nothing about them
        names = [PurePosixPath(str(name)).name for name in (self._settings.model, name)]
        return hashlib.sha256(json.dumps([self._settings.address, *names, self.layout.digest]).encode()).hexdigest()

    @property
    def layout(self) -> Layout:
        """Turns, or texts in the layout of base models."""
        return SERVED if self._settings.api == "chat" else HH

    def generate(self, asks: Sequence[Ask], sampling: Sampling, seeds: Sequence[int]) -> list[Completion]:
        """Sample one completion per ask with the row's seed. Raises `ServerError` for the first row that fails."""
        if len(seeds) != len(asks):
            raise ValueError(f"every prompt needs a seed of its own, got {len(asks)} prompts and {len(seeds)} seeds")
        stop = common(asks, self.layout.stops)
        fields = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_new_tokens,
            **({"stop": list(stop)} if stop else {}),
        }

        def ask(row: tuple[Ask, int]) -> Completion:
            text, finish_reason = self._written(row[0], {**fields, "seed": row[1] % _SEEDS})
            kept, stopped = cut_at(text, stop)  # some servers leave the stop string in
            return Completion(kept.strip(), "length" if finish_reason == "length" and not stopped else "stop")

        return self._server.each(ask, list(zip(asks, seeds, strict=True)))

    def choice_logprobs(self, asks: Sequence[Ask]) -> np.ndarray:
        """Return log P(choice | ask) over all tokens of the choice, in nats: (asks, choices), fp32.

        Raises `ServerError` where the server gives no log-probabilities.
        """
        if not asks:
            return np.empty((0, n_choices(asks)), dtype=np.float32)
        choices = common(asks, self.layout.choices)
        if not choices or not all(choices):
            raise ValueError(f"every choice needs some text, got {list(choices)}")
        if self._settings.logprobs == "none":
            raise self._error(
                "its entry says logprobs: none, but preference labels need log-probabilities; use a server that gives "
                "them (docs/guides/server.md) for this model"
            )
        read = self._by_echo if self._settings.logprobs == "echo" else self._by_next_token

        def ask(asked: Ask) -> list[float]:
            try:
                if self._settings.api == "chat":
                    return first_word_logprobs(self._first_tokens(asked), choices)
                return read(self.layout.prompt(asked).text, choices)
            except ValueError as error:
                raise self._error(str(error)) from error

        rows = self._server.each(ask, list(asks))
        return np.array(rows, dtype=np.float32).reshape(len(asks), len(choices))

    def check(self) -> None:
        """Ask for a little of everything that the entry promises; raises `ServerError` that says what is missing."""
        texts = {done.text for done in self.generate([_PROBE] * 3, _FREE, [1, 2, 3])}
        if len(texts) == 1:
            raise self._error(
                f"three samples at temperature {_FREE.temperature} are the same ({texts.pop()[:60]!r}), so it does not "
                f"sample; `transformers serve` needs do_sample in its generation config (docs/guides/server.md)"
            )
        if self._settings.logprobs == "none":
            return
        if self._settings.api == "chat":
            self.choice_logprobs([_LETTERS])
        else:
            read = self._next_tokens if self._settings.logprobs == "next_token" else self._echoes
            self._server.each(read, [self.layout.prompt(_PROBE).text])

    def _written(self, ask: Ask, fields: Mapping[str, Any]) -> tuple[str, str]:
        if self._settings.api == "chat":
            return self._server.chat(replied, _sent(ask), **fields)
        return self._server.completion(completed, self.layout.prompt(ask).text, **fields)

    def _by_echo(self, prompt: str, choices: Sequence[str]) -> list[float]:
        return [self._echoed(prompt, choice) for choice in choices]

    def _echoed(self, prompt: str, choice: str) -> float:
        # one token is written and thrown away: to some servers, 0 means no limit
        def read(answer: Any) -> float:
            return echoed_logprob(only_choice(answer).logprobs, prompt, choice)

        return self._server.completion(read, prompt + choice, echo=True, logprobs=1, **_ONE_TOKEN)

    def _by_next_token(self, prompt: str, choices: Sequence[str]) -> list[float]:
        return walked_logprobs(self._next_tokens, prompt, choices)

    def _next_tokens(self, text: str) -> dict[str, float]:
        def read(answer: Any) -> dict[str, float]:
            return likeliest_next(only_choice(answer).logprobs)

        return self._some(self._server.completion(read, text, logprobs=self._settings.top_logprobs, **_ONE_TOKEN))

    def _first_tokens(self, ask: Ask) -> dict[str, float]:
        def read(answer: Any) -> dict[str, float]:
            return likeliest_next(only_choice(answer).logprobs)

        fields = {**_ONE_TOKEN, "logprobs": True, "top_logprobs": self._settings.top_logprobs}
        return self._some(self._server.chat(read, _sent(ask), **fields))

    def _some(self, listed: dict[str, float]) -> dict[str, float]:
        if not listed:
            raise self._error(
                "it lists no likeliest tokens: it ignores `logprobs`; take another server for this model, because "
                "preference labels are never read from generated text"
            )
        return listed

    def _echoes(self, text: str) -> float:
        try:
            return self._echoed(text, " (A)")
        except ValueError as error:
            raise self._error(str(error)) from error

    def _error(self, told: str) -> ServerError:
        return ServerError(f"the server {self._settings.address}, model {self._settings.model!r}: {told}")


def _model_name(answer: Any) -> str:
    only_choice(answer)
    return str(answer.model)


def _sent(ask: Ask) -> list[dict[str, str]]:
    return [{"role": turn["role"], "content": turn["content"]} for turn in SERVED.messages(ask)]
