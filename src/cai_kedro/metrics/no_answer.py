"""Answers that are none: empty, garbled, an echo of the request, or more turns than one."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from cai_kedro.core.text import words_of

_TURN = re.compile(r"\b(?:human|user|assistant)\s*:|</?s>|<\|", re.IGNORECASE)
_BLANK = re.compile(r"\[[A-Za-z][^\]\n]{0,30}\]")
_LATIN_ENDS = "\u024f"
_TIMES = 4  # in a row
_RUN = 3  # words
_BLANKS = 2  # a letter may leave a name open
_ECHO = 4  # words; a shorter request may well stand in its answer
_RUNS = 10  # fewer make no share
_SHORT = 6  # words; "No, no, no, no." is an answer
_DISTINCT = 0.7  # share of different runs of three words, below which a text repeats itself
_PHRASE = 12  # words of a phrase that is said three times in a row
_STUTTERS = 3  # words said twice in a row; "that that" and "very, very" happen
_CUT = 3  # words; what stops there without an end has not begun
_LETTERS = 0.5  # of all signs but spaces
_ASKS_A_FIGURE = re.compile(r"\d|\b(?:how (?:many|much|old|long|far|often|tall)|number|year|when|code|digits?)\b")
#: Text in which a piece of up to 20 signs stands five times in a row.
_LOOP = re.compile(r"(.{1,20}?)\1{4,}", re.DOTALL)
#: What no sentence ends on.
_OPEN = re.compile(
    r"(?:a|an|the|of|to|for|from|with|by|in|on|at|as|and|or|but|if|because|that|which|who|is|are|was|were|be|been|am|"
    r"has|have|had|will|would|can|could|should|may|might|must|do|does|did|not|i|you|he|she|we|they|it's|i'm|my|your|"
    r"his|her|their|our|this|these|those)"
)
#: Requests that no word or two can answer.
_ASKS_FOR_MORE = re.compile(
    r"\b(?:how(?! (?:many|much|old|long|far|often|tall)\b)|why|explain|describe|steps|ways|recipe|plan|story)\b"
)


def says_nothing(request: str, response: str, prose: str) -> bool:
    """Tell whether a response is no answer; `prose` is the response without code, which may repeat names."""
    words, asked = words_of(response), words_of(request)
    if not any(sign.isalnum() for sign in response):
        return True
    if len(_TURN.findall(response)) > 1 or len(_BLANK.findall(response)) > _BLANKS:
        return True
    if not _is_written(request, prose) or len(_LOOP.sub("", prose)) < len(prose) / 2:
        return True
    return _is_foreign(request, response) or _echoes(asked, words) or _repeats_itself(words_of(prose))


def is_fragment(request: str, response: str) -> bool:
    """Tell whether a response stops after up to three words that are no end, and the request asks for more than them.

    Whether such words decline or evade has to be seen before.
    """
    words = words_of(response)
    if len(words) > _CUT or response.rstrip("\"”')*_ \n").endswith((".", "!", "?", "…")):
        return False
    if _ASKS_A_FIGURE.search(request.lower()) and any(map(str.isdigit, response)):
        return False
    return not words or bool(_OPEN.fullmatch(words[-1])) or bool(_ASKS_FOR_MORE.search(request.lower()))


def _is_written(request: str, prose: str) -> bool:
    """Tell whether a text has letters, and more of them than of other signs, unless figures were asked for."""
    signs = [sign for sign in prose if not sign.isspace()]
    if not signs or _ASKS_A_FIGURE.search(request.lower()):
        return True
    return sum(map(str.isalpha, signs)) >= _LETTERS * len(signs)


def _echoes(asked: Sequence[str], words: Sequence[str]) -> bool:
    """Tell whether a response says the whole request again, and little else."""
    return len(asked) > _ECHO and f" {' '.join(asked)} " in f" {' '.join(words)} " and len(words) < 3 * len(asked)


def _is_foreign(request: str, response: str) -> bool:
    """Tell whether most letters are of another script than the request's Latin one."""
    letters = [sign for sign in response if sign.isalpha()]
    return sum(sign > _LATIN_ENDS for sign in letters) > len(letters) / 2 and all(
        sign <= _LATIN_ENDS for sign in request
    )


def _in_a_row(words: Sequence[str], width: int, times: int) -> bool:
    """Tell whether so many words stand so many times in a row."""
    same = 0
    for here, before in zip(words[width:], words, strict=False):
        same = same + 1 if here == before else 0
        if same >= width * (times - 1):
            return True
    return False


def _repeats_itself(words: Sequence[str]) -> bool:
    """Tell whether a text stutters, or many runs of three words were there before.

    It stutters where up to three words stand four times in a row, up to twelve three times, or three words twice.
    """
    if len(words) < _SHORT:
        return False
    if any(_in_a_row(words, width, _TIMES if width <= _RUN else _TIMES - 1) for width in range(1, _PHRASE + 1)):
        return True
    if sum(first == second for first, second in pairwise(words)) >= max(_STUTTERS, len(words) / 20):
        return True
    runs = list(zip(words, words[1:], words[2:], strict=False))
    if len(runs) < _RUNS:
        return len(words) > _SHORT and Counter(words).most_common(1)[0][1] > len(words) / 3
    return len(set(runs)) < _DISTINCT * len(runs)
