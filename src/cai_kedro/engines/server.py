"""A server that speaks OpenAI's protocol: many requests at a time, each row's answer in its place.

Retries, Retry-After and time-outs are those of the `openai` package. What it does not have is here: a bound on the
requests under way, a watchdog for a server that answers nothing any more, and errors without the key in them.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

import openai

from cai_kedro.engines.server_answers import MalformedAnswerError, malformed
from cai_kedro.engines.server_settings import ServerSettings

logger = logging.getLogger(__name__)

Row = TypeVar("Row")
Answer = TypeVar("Answer")

_NO_KEY = "none"  # the package insists on one; without it, it would take OPENAI_API_KEY and send that to any server
_REFUSED = (401, 403)
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 8.0  # as the package waits between its own tries


class ServerError(RuntimeError):
    """What a server did not do, and what to do about it; never holds the key."""


def checked_key(key: Any) -> str | None:
    """Return a key that a header of HTTP can carry; raises `ServerError` without the key in it."""
    if key is None or (isinstance(key, str) and key and key.isascii() and key.isprintable() and " " not in key):
        return key
    if not isinstance(key, str):
        fault = f"is no text but {type(key).__name__}; put it into quotes"
    elif not key:
        fault = "is empty; give the key, or remove `credentials` from the entry of a server that wants none"
    else:
        place = next(
            i for i, letter in enumerate(key) if not (letter.isascii() and letter.isprintable()) or letter == " "
        )
        fault = f"has a character that no key can have at place {place + 1} of {len(key)}; copy it again"
    raise ServerError(f"the `api_key` in conf/local/credentials.yml {fault}")


class Server:
    """The connection. Nothing is sent before the first request."""

    def __init__(self, settings: ServerSettings, api_key: str | None = None) -> None:
        self.settings = settings
        self._key = checked_key(api_key)
        self._client = openai.OpenAI(
            base_url=settings.base_url,
            api_key=api_key or _NO_KEY,
            timeout=settings.timeout_s,
            max_retries=settings.max_retries,
        )

    def __repr__(self) -> str:
        return f"Server({self.settings.address}, {self.settings.model})"

    def completion(self, read: Callable[[Any], Answer], prompt: str, **fields: Any) -> Answer:
        """Continue a text; returns what `read` takes out of the `openai.types.Completion`. Raises `ServerError`."""
        prompt = self.settings.prompt_prefix + prompt
        return self._ask(self._client.completions.create, read, {"prompt": prompt, **fields})

    def chat(self, read: Callable[[Any], Answer], messages: Sequence[Mapping[str, str]], **fields: Any) -> Answer:
        """Answer a conversation; returns what `read` takes out of the `ChatCompletion`. Raises `ServerError`."""
        return self._ask(self._client.chat.completions.create, read, {"messages": list(messages), **fields})

    def each(self, ask: Callable[[Row], Answer], rows: Sequence[Row]) -> list[Answer]:
        """Ask for every row, at most `concurrency` at a time, and return the answers in the order of the rows.

        Raises `ServerError`: the first one of a row, or that nothing was answered for `stalled_after_s` seconds.
        Requests under way then end by their own time-out.
        """
        answers: dict[int, Answer] = {}
        open_: dict[Future[Answer], int] = {}
        left = iter(enumerate(rows))
        pool = ThreadPoolExecutor(self.settings.concurrency, thread_name_prefix="server")
        try:
            while len(answers) < len(rows):
                # a short queue: waiting for one of all rows at once would look at each of them each time
                while len(open_) < 2 * self.settings.concurrency and (new := next(left, None)):
                    open_[pool.submit(ask, new[1])] = new[0]
                done, _ = wait(open_, timeout=self.settings.stalled_after_s, return_when=FIRST_COMPLETED)
                if not done:
                    raise self._stalled(len(answers), len(rows))
                answers |= {open_.pop(future): future.result() for future in done}
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        return [answers[place] for place in range(len(rows))]

    def _ask(self, create: Callable[..., Any], read: Callable[[Any], Answer], fields: Mapping[str, Any]) -> Answer:
        """Ask until `read` gets what it needs, as often as a request that fails is tried again."""
        told = ""
        for again in range(self.settings.max_retries + 1):
            if again:
                time.sleep(min(_FIRST_WAIT_S * 2 ** (again - 1), _LONGEST_WAIT_S))
            try:
                answer = create(model=self.settings.model, extra_body=self.settings.extra_body or None, **fields)
            except openai.APIResponseValidationError as error:
                told = self._malformed(error)
                continue
            except openai.OpenAIError as error:
                told = self._told(error)
                break
            except (json.JSONDecodeError, UnicodeDecodeError) as error:
                told = self._malformed(error)
                continue
            try:
                return read(answer)
            except MalformedAnswerError as error:
                told = f"{self._without_key(str(error))} in {again + 1} tries; look at its log"
        # raised out here: the package's error holds the request, and with it the key
        raise ServerError(f"the server {self.settings.address}, model {self.settings.model!r}: {told}")

    def _malformed(self, error: Exception) -> str:
        got = getattr(error, "doc", None) or getattr(error, "body", None) or str(error)
        return f"{self._without_key(str(malformed('JSON', got)))}; is base_url right? It ends on /v1 at most servers"

    def _told(self, error: openai.OpenAIError) -> str:
        status = getattr(error, "status_code", None)
        if status in _REFUSED:
            return f"it refused the key ({status}); name the right entry of conf/local/credentials.yml as credentials"
        if isinstance(error, openai.APITimeoutError):
            tries = self.settings.max_retries + 1
            return f"no answer within {self.settings.timeout_s:g} s in {tries} tries; raise timeout_s or ask for less"
        if isinstance(error, openai.APIConnectionError):
            cause = self._without_key(str(error.__cause__ or error))
            return f"cannot be reached at {self.settings.base_url} ({cause}); start it or correct base_url"
        return self._without_key(str(error))[:500]

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text

    def _stalled(self, answered: int, n: int) -> ServerError:
        return ServerError(
            f"the server {self.settings.address} answered nothing for {self.settings.stalled_after_s:g} s, "
            f"{answered} of {n} rows were answered; look at its log, lower concurrency or raise stalled_after_s"
        )
