"""What a server's answer must hold, whatever it sends with status 200.

The `openai` package hands on what came without checking it: a missing field is None, a page of HTML is a str.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

_SHOWN = 160  # characters of an answer in a message
_ROUNDING = 1e-2  # nats that a log-probability may lie above 0


class MalformedAnswerError(ValueError):
    """An answer that is no answer; the next one may be."""


def malformed(expected: str, got: Any) -> MalformedAnswerError:
    """Return the error that says what was expected and the beginning of what came."""
    return MalformedAnswerError(f"it answered with status 200, but expected was {expected}, and got {_shortened(got)}")


def _shortened(value: Any) -> str:
    if hasattr(value, "model_dump"):
        value = value.model_dump(warnings=False)
    text = value if isinstance(value, str) else json.dumps(value, default=repr, ensure_ascii=False)
    text = " ".join(text.split())
    return f"{text[:_SHOWN]}… ({len(text)} characters)" if len(text) > _SHOWN else text or "nothing"


def only_choice(answer: Any) -> Any:
    """Return the one choice of an answer to a request for one."""
    choices = getattr(answer, "choices", None)
    if not choices:
        raise malformed("one choice (is base_url right? It ends on /v1 at most servers)", answer)
    if not isinstance(choices, Sequence) or isinstance(choices, str) or len(choices) != 1:
        raise malformed("one choice", answer)
    return choices[0]


def completed(answer: Any) -> tuple[str, str]:
    """Return text and finish reason of a completion."""
    choice = only_choice(answer)
    return _text(getattr(choice, "text", None), "text", answer), str(getattr(choice, "finish_reason", None))


def replied(answer: Any) -> tuple[str, str]:
    """Return text and finish reason of a chat's answer."""
    choice = only_choice(answer)
    content = getattr(getattr(choice, "message", None), "content", None)
    return _text(content, "message.content", answer), str(getattr(choice, "finish_reason", None))


def _text(text: Any, name: str, answer: Any) -> str:
    if not isinstance(text, str):
        raise malformed(f"a text as `{name}`", answer)
    return text


def log_probability(value: Any) -> float:
    """Return a log-probability as a number; none is above 0 by more than rounding, or infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value > _ROUNDING:
        raise malformed(
            "a finite number of at most 0 as log-probability", repr(value) if isinstance(value, str) else value
        )
    return float(value)


def listed(logprobs: Mapping[str, Any]) -> dict[str, float]:
    """Return token → log-probability; tokens that a server rules out (minus infinity) are not likely and fall away."""
    return {token: log_probability(value) for token, value in logprobs.items() if value != -math.inf}
