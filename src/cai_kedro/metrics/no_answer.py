"""Answers that are none: empty, garbled, an echo of the request, or more turns than one."""

import re
from collections import Counter
from collections.abc import Sequence

from cai_kedro.core.text import words_of

_TURN = re.compile(r"\b(?:human|user|assistant)\s*:|</?s>|<\|", re.IGNORECASE)
_BLANK = re.compile(r"\[[A-Za-z][^\]\n]{0,30}\]")
_LATIN_ENDS = "\u024f"
_TIMES = 4  # in a row
_BLANKS = 2  # a letter may leave a name open
_ECHO = 4  # words; a shorter request may well stand in its answer
_RUNS = 10  # fewer make no share
_SHORT = 6  # words; "No, no, no, no." is an answer
_DISTINCT = 0.7  # share of different runs of three words, below which a text repeats itself


def says_nothing(request: str, response: str, prose: str) -> bool:
    """Tell whether a response is no answer; `prose` is the response without code, which may repeat names."""
    words, asked = words_of(response), words_of(request)
    if not any(sign.isalnum() for sign in response):
        return True
    if len(_TURN.findall(response)) > 1 or len(_BLANK.findall(response)) > _BLANKS:
        return True
    return _is_foreign(request, response) or _echoes(asked, words) or _repeats_itself(words_of(prose))


def _echoes(asked: Sequence[str], words: Sequence[str]) -> bool:
    """Tell whether a response says the whole request again, and little else."""
    return len(asked) > _ECHO and f" {' '.join(asked)} " in f" {' '.join(words)} " and len(words) < 3 * len(asked)


def _is_foreign(request: str, response: str) -> bool:
    """Tell whether most letters are of another script than the request's Latin one."""
    letters = [sign for sign in response if sign.isalpha()]
    return sum(sign > _LATIN_ENDS for sign in letters) > len(letters) / 2 and all(
        sign <= _LATIN_ENDS for sign in request
    )


def _repeats_itself(words: Sequence[str]) -> bool:
    """Tell whether up to three words stand four times in a row, or many runs of three words were there before."""
    if len(words) < _SHORT:
        return False
    for width in (1, 2, 3):
        for start in range(len(words) - _TIMES * width + 1):
            first = words[start : start + width]
            if all(words[start + n * width : start + (n + 1) * width] == first for n in range(1, _TIMES)):
                return True
    runs = list(zip(words, words[1:], words[2:], strict=False))
    if len(runs) < _RUNS:
        return len(words) > _SHORT and Counter(words).most_common(1)[0][1] > len(words) / 3
    return len(set(runs)) < _DISTINCT * len(runs)
