"""Human comparisons in the forms in which people have them, one row → the pairs that it says something of."""

import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any, ClassVar, NamedTuple

from pydantic import Field

from cai_kedro.core.axes import NAME
from cai_kedro.core.conversation import Message
from cai_kedro.core.seeding import rng_for
from cai_kedro.datasets.paired_answers import paired_answers
from cai_kedro.datasets.prompt_rows import (
    BESIDE,
    CONVERSATION,
    content_id,
    conversation_of,
    id_of,
    number_of,
    prompt_id_of,
    refuse_marker,
    text_of,
)
from cai_kedro.datasets.row_errors import IrregularRowError, Row, RowError
from cai_kedro.datasets.row_source import RowSource, value_at

_FIRST = ("a", "0", "response_a", "response_0")
_SECOND = ("b", "1", "response_b", "response_1")
_NEITHER = ("tie", "equal", "same", "both", "neither")
_TWO = 2
_INSIDE = ("response", "rating")


class ComparisonSource(RowSource):
    """One source of human comparisons.

    Attributes:
        objective: what people compared by, where no column says so.
        objectives: what the column `objective` holds → our name.
        min_rating_gap: two answers with ratings closer than this are no comparison; equal ones never are.
    """

    READ: ClassVar[tuple[str, ...]] = (
        *(*CONVERSATION, *BESIDE, "prompt_id", "objective", "chosen", "rejected", "score_chosen", "score_rejected"),
        *("response_a", "response_b", "preferred", "completions", *_INSIDE),
    )

    objective: str | None = None
    objectives: Mapping[str, str] = Field(default_factory=dict)
    min_rating_gap: float = Field(default=0.0, ge=0)

    @property
    def in_completions(self) -> dict[str, str]:
        """Where a completion has its text and its rating."""
        return {name: self.columns.get(name) or name for name in _INSIDE}

    def of_rows(self) -> "ComparisonSource":
        """Return the source without the columns inside completions, which are no columns of a row."""
        columns = {name: source for name, source in self.columns.items() if name not in _INSIDE}
        return self.model_copy(update={"columns": columns})


class Compared(NamedTuple):
    """A conversation and two answers to it, the better one first."""

    messages: list[Message]
    chosen: str
    rejected: str


def comparisons_of(row: Row, source: ComparisonSource) -> list[dict[str, Any]]:
    """Return the `comparisons` of a row; raises `RowError`, `IrregularRowError` where it prefers nothing."""
    objective = text_of(row, "objective", source.objective).strip()
    objective = source.objectives.get(objective, objective)
    if not re.match(NAME, objective):
        raise RowError(
            f"has the objective {objective!r}; expected the name of an axis, such as harmlessness, or one that "
            f"`objectives` gives such a name for"
        )
    return [_comparison(row, pair, objective) for pair in _pairs_of(row, source)]


def _pairs_of(row: Row, source: ComparisonSource) -> list[Compared]:
    if "completions" in row and "chosen" not in row:
        return list(_by_ratings(row, source))
    if "preferred" in row and "chosen" not in row:
        return [_by_choice(row)]
    _check_scores(row, source)
    return [Compared(*paired_answers(row))]


def _check_scores(row: Row, source: ComparisonSource) -> None:
    """Raise `IrregularRowError` where scores beside the two answers prefer none, or the other one."""
    if not {"score_chosen", "score_rejected"} <= set(row):
        return
    chosen, rejected = (_score(row, column) for column in ("score_chosen", "score_rejected"))
    if chosen == rejected or abs(chosen - rejected) < source.min_rating_gap:
        raise IrregularRowError(_too_close(source))
    if chosen < rejected:
        raise IrregularRowError("has a lower score for the chosen answer than for the rejected one")


def _by_choice(row: Row) -> Compared:
    said = str(row["preferred"]).strip().lower()
    if said in _NEITHER:
        raise IrregularRowError("prefers neither answer")
    if said not in (*_FIRST, *_SECOND):
        raise RowError(f"has {row['preferred']!r} in 'preferred'; expected a or b, 0 or 1, or tie")
    better, worse = ("response_a", "response_b") if said in _FIRST else ("response_b", "response_a")
    beside = {key: value for key, value in row.items() if key in (*CONVERSATION, *BESIDE)}
    return Compared(*paired_answers({**beside, "chosen": text_of(row, better), "rejected": text_of(row, worse)}))


def _by_ratings(row: Row, source: ComparisonSource) -> Iterator[Compared]:
    """Give every two completions whose ratings say which is better; one without a rating is in none."""
    messages = conversation_of(row)
    completions = row["completions"]
    if not isinstance(completions, list) or not all(isinstance(each, Mapping) for each in completions):
        raise RowError("needs a list of objects in 'completions', each with a response and a rating")
    places = source.in_completions
    rated = [
        (
            text_of({"response": value_at(each, places["response"])}, "response").strip(),
            _score({"rating": rating}, "rating"),
        )
        for each in completions
        if (rating := value_at(each, places["rating"])) is not None and str(rating).strip() not in ("", "N/A")
    ]
    if len(rated) < _TWO:
        inside = sorted(completions[0]) if completions else []
        raise IrregularRowError(
            f"has fewer than two completions with a rating in {places['rating']!r}; a completion has {inside}"
        )
    apart = [
        (one, other) if one[1] > other[1] else (other, one)
        for one, other in combinations(rated, 2)
        if one[1] != other[1] and abs(one[1] - other[1]) >= source.min_rating_gap and one[0] != other[0]
    ]
    if not apart:
        raise IrregularRowError(_too_close(source))
    yield from (Compared(messages, better[0], worse[0]) for better, worse in apart)


def _score(row: Row, column: str) -> float:
    return number_of(row, column, float("-inf"), float("inf"), "a number")


def _too_close(source: ComparisonSource) -> str:
    closer = f" or closer than {source.min_rating_gap:g}" if source.min_rating_gap else ""
    return f"prefers no answer: the ratings are equal{closer}"


def _comparison(row: Row, pair: Compared, objective: str) -> dict[str, Any]:
    for column, answer in (("chosen", pair.chosen), ("rejected", pair.rejected)):
        if not answer:
            raise IrregularRowError(f"has an empty answer in {column!r}")
        refuse_marker(answer, f"the answer in {column!r}", IrregularRowError)
    prompt_id = id_of(row, "prompt_id", prompt_id_of(pair.messages))
    pair_id = content_id(prompt_id, objective, pair.chosen, pair.rejected)
    a_is_chosen = rng_for(0, "recorded", pair_id).random() < 0.5  # noqa: PLR2004 - which side it stands on says nothing
    return {
        "pair_id": pair_id,
        "prompt_id": prompt_id,
        "messages": pair.messages,
        "response_a": pair.chosen if a_is_chosen else pair.rejected,
        "response_b": pair.rejected if a_is_chosen else pair.chosen,
        "kind": "recorded",
        "objective": objective,
        "source": "human",
        "principle_id": None,
        "p_a_better": float(a_is_chosen),
        "p_a_first": None,
        "p_a_second": None,
        "thoughts": None,
    }
