"""Log-probabilities of choices in what servers answer: echoed prompts, and lists of the likeliest next tokens."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from cai_kedro.engines.server_answers import MalformedAnswerError, listed, log_probability, malformed

_AROUND = " \n\t()[]*\"'.:"  # what may stand around a letter
_TAIL = 32  # characters of the prompt that tell where a choice stands


def echoed_logprob(logprobs: Any, prompt: str, choice: str) -> float:
    """Sum the log-probabilities of the tokens of `choice` behind `prompt` (nats), from an answer with `echo`.

    `logprobs` is the legacy object with `tokens` and `token_logprobs`, for prompt, choice and what was generated.
    Counted by text: servers differ in whether they list a BOS token. Raises `ValueError` if there are none, or if a
    token crosses the border between prompt and choice.
    """
    tokens = getattr(logprobs, "tokens", None)
    values = getattr(logprobs, "token_logprobs", None)
    if not tokens or not values:
        raise ValueError(
            "it gave no log-probabilities of the prompt; it ignores `echo` with `logprobs`. Set logprobs to next_token "
            "if it lists the likeliest tokens, else take another server: labels are never read from generated text"
        )
    if not _are_texts(tokens) or not isinstance(values, list) or len(values) != len(tokens):
        raise malformed("as many log-probabilities as tokens, which are texts", {"tokens": tokens, "values": values})
    place = "".join(tokens).rfind(prompt[-_TAIL:] + choice)
    start = place + len(prompt[-_TAIL:])
    ends = list(accumulate(len(token) for token in tokens))
    begins = [end - len(token) for end, token in zip(ends, tokens, strict=True)]
    inside = [i for i, begin in enumerate(begins) if start <= begin < start + len(choice) and tokens[i]]
    if place < 0 or "".join(tokens[i] for i in inside) != choice:
        raise ValueError(
            f"its tokens {tokens[-8:]} do not have {choice!r} as tokens of their own behind the prompt; "
            f"set logprobs to next_token"
        )
    return sum(log_probability(values[i]) for i in inside)


def likeliest_next(logprobs: Any) -> dict[str, float]:
    """Return token → log-probability (nats) of the likeliest next tokens; empty if the server gave none.

    Reads the legacy form (`top_logprobs`: one mapping a position) and the form of chat, which llama.cpp's own server
    uses for completions, too (`content`: one entry a position with its own `top_logprobs`).
    """
    legacy = getattr(logprobs, "top_logprobs", None)
    content = getattr(logprobs, "content", None)
    if not legacy and not content:
        return {}
    try:
        if legacy:
            return listed(dict(legacy[0]))
        (entry, *_) = content or []
        entry = entry if isinstance(entry, Mapping) else entry.model_dump(warnings=False)
        return listed({top["token"]: top["logprob"] for top in entry["top_logprobs"]})
    except MalformedAnswerError:
        raise
    except (TypeError, ValueError, KeyError, IndexError, AttributeError):
        fault = malformed("a list of likeliest tokens with their log-probabilities", legacy or content)
    raise fault


def first_word_logprobs(likeliest: Mapping[str, float], choices: Sequence[str]) -> list[float]:
    """Return the log-probability (nats) of each choice as the beginning of an answer, from the likeliest first tokens.

    A token counts for the one choice that begins with it, whatever space or brackets stand around it. A choice without
    a token in the list gets the lowest probability of the list, which it cannot exceed. Raises `ValueError` if no
    choice has one.
    """
    sums: dict[str, float] = {}
    for token, value in likeliest.items():
        said = token.strip(_AROUND)
        meant = [choice for choice in choices if said and choice.strip(_AROUND).startswith(said)]
        if len(meant) == 1:
            known = sums.get(meant[0], -math.inf)
            sums[meant[0]] = max(known, value) + math.log1p(math.exp(-abs(known - value)))
    if not sums:
        raise ValueError(
            f"none of {list(choices)} begins with one of the {len(likeliest)} tokens that it lists "
            f"({list(likeliest)[:8]}); raise top_logprobs, or is this a model that answers in another form?"
        )
    return [sums.get(choice, min(likeliest.values())) for choice in choices]


def _are_texts(tokens: Any) -> bool:
    return isinstance(tokens, list) and all(isinstance(token, str) for token in tokens)


def walked_logprobs(
    next_tokens: Callable[[str], Mapping[str, float]], written: str, rests: Sequence[str]
) -> list[float]:
    """Sum the log-probabilities of each of `rests` behind `written`, token by token (nats).

    `next_tokens(text)` lists the likeliest next tokens; shared beginnings are asked for once. Of the tokens that a
    rest begins with, the longest is taken. A rest whose token is not listed gets the lowest probability of the list,
    which it cannot exceed. Raises `ValueError` if no rest has a token in the list.
    """
    if not any(rests):
        return [0.0] * len(rests)
    likeliest = next_tokens(written)
    taken = [max((t for t in likeliest if t and rest.startswith(t)), key=len, default=None) for rest in rests]
    if not any(taken):
        raise ValueError(
            f"none of {[rest for rest in rests if rest]} begins with one of the {len(likeliest)} tokens that it lists "
            f"({list(likeliest)[:8]}); raise top_logprobs, or is this a model that answers in another form?"
        )
    sums = [0.0 if not rest else min(likeliest.values()) for rest in rests]
    for token in dict.fromkeys(token for token in taken if token):
        places = [i for i, own in enumerate(taken) if own == token]
        behind = walked_logprobs(next_tokens, written + token, [rests[i][len(token) :] for i in places])
        for i, value in zip(places, behind, strict=True):
            sums[i] = likeliest[token] + value
    return sums
