"""Which server is asked, and how; readable without the package that asks it."""

from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ServerSettings(BaseModel):
    """Which server, which model on it, and how it is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str = Field(description="up to and with /v1, without the key")
    model: str = Field(min_length=1, description="the model's name on the server")
    api: Literal["completions", "chat"] = Field(description="completions takes texts as they are, chat makes turns")
    logprobs: Literal["echo", "next_token", "none"] = Field(description="where log-probabilities of choices come from")
    top_logprobs: int = Field(ge=1, description="next_token: how many tokens the server lists; OpenAI's limit is 5")
    prompt_prefix: str = Field(description="in front of each prompt: the BOS token where the server puts none")
    extra_body: dict[str, Any] = Field(description="further fields of each request, as the server calls them")
    concurrency: int = Field(ge=1, description="requests under way at a time")
    timeout_s: float = Field(gt=0, description="seconds without a byte until a request is tried again")
    max_retries: int = Field(ge=0, description="further tries of a request; they wait longer and longer")
    stalled_after_s: float = Field(gt=0, description="seconds without any answer until the stage stops")

    @model_validator(mode="after")
    def _address_is_plain(self) -> Self:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("base_url must be an address such as http://127.0.0.1:8000/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("base_url must hold no user, password or query; keys belong into credentials.yml")
        return self

    @model_validator(mode="after")
    def _a_chat_echoes_nothing(self) -> Self:
        if self.api == "chat" and self.logprobs == "echo":
            raise ValueError("a chat echoes no prompt: with api: chat, logprobs must be next_token or none")
        return self

    @property
    def address(self) -> str:
        """The server's host and port."""
        return urlsplit(self.base_url).netloc
