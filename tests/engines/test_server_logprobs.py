"""Reading log-probabilities from answers of servers, in the forms that they come in."""

from types import SimpleNamespace
from typing import Any

import pytest

from cai_kedro.engines.server_logprobs import echoed_logprob, likeliest_next, walked_logprobs

PROMPT = "Is it? The answer is:"


def echoed(*tokens: str, values: list[float | None] | None = None) -> Any:
    return SimpleNamespace(
        tokens=list(tokens), token_logprobs=(values or [None, *[-float(i) for i in range(1, 20)]])[: len(tokens)]
    )


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (("Is", " it", "? The answer is:", " (", "A", ")", "\n"), -3 - 4 - 5),
        (("<s>", "Is", " it? The answer is:", " (", "A", ")"), -3 - 4 - 5),  # a BOS, and nothing written behind
        (("Is it? The answer is:", " (A)", " (A)"), -1),  # what is written looks like the choice
        (("Is it? The answer is:", " (", "", "A)", "."), -1 - 3),  # a token without a text does not count
    ],
)
def test_the_tokens_of_the_choice_are_summed(tokens: tuple[str, ...], expected: float) -> None:
    assert echoed_logprob(echoed(*tokens), PROMPT, " (A)") == expected


@pytest.mark.parametrize(
    "tokens",
    [
        ("Is it? The answer", " is: (", "A", ")"),  # crosses the border to the prompt
        ("Is it? The answer is:", " (", "A).", "\n"),  # crosses the border to what is written
        ("Is it? The answer is:", " (", "B", ")"),  # another text
    ],
)
def test_a_token_across_the_border_is_an_error(tokens: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"do not have ' \(A\)' as tokens of their own.*set logprobs to next_token"):
        echoed_logprob(echoed(*tokens), PROMPT, " (A)")


@pytest.mark.parametrize("nothing", [None, SimpleNamespace(tokens=None, token_logprobs=None), echoed()])
def test_no_logprobs_is_an_error(nothing: Any) -> None:
    with pytest.raises(ValueError, match="never read from generated text"):
        echoed_logprob(nothing, PROMPT, " (A)")


def test_both_forms_of_likeliest_tokens() -> None:
    legacy = SimpleNamespace(top_logprobs=[{" (": -0.1, " [": -3.0}, {"A": -0.5}])
    assert likeliest_next(legacy) == {" (": -0.1, " [": -3.0}
    listed = [{"token": " (", "logprob": -0.1}, {"token": " [", "logprob": -3.0}]
    assert likeliest_next(SimpleNamespace(content=[{"token": " (", "top_logprobs": listed}])) == legacy.top_logprobs[0]
    assert likeliest_next(None) == {}


def test_walk_by_hand() -> None:
    asked = []
    table = {
        "p": {" (": -0.5, " ": -2.0, "x": -9.0},  # of " (" and " " the longer one is taken
        "p (": {"A": -1.0, "B": -0.25, "C": -4.0},
        "p (A": {")": -0.125},
        "p (B": {")": -0.0625},
    }

    def next_tokens(text: str) -> dict[str, float]:
        asked.append(text)
        return table[text]

    assert walked_logprobs(next_tokens, "p", [" (A)", " (B)"]) == [-0.5 - 1 - 0.125, -0.5 - 0.25 - 0.0625]
    assert asked == ["p", "p (", "p (A", "p (B"]  # the shared beginning once


def test_a_choice_that_is_not_listed_gets_the_bound() -> None:
    table = {"p": {" (": -0.5}, "p (": {"A": -0.125, "C": -2.0}, "p (A": {")": 0.0}}
    assert walked_logprobs(table.__getitem__, "p", [" (A)", " (B)"]) == [-0.625, -2.5]
    with pytest.raises(ValueError, match=r"none of .* begins with one of the 1 tokens.*raise top_logprobs"):
        walked_logprobs({"p": {"no": -0.1}}.__getitem__, "p", [" (A)", " (B)"])
