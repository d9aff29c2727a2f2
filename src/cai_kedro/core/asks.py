"""What a stage asks of a model: data, without the words around it. A layout (`core/layouts`) writes it down.

Worked examples are data, too: an ask with its answer, so that every layout can show them in its own way.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, get_args

from cai_kedro.core.conversation import Conversation


@dataclass(frozen=True)
class Worked:
    """A worked example: an ask with its answer. The answer of a comparison or a verdict is its letter, A or B."""

    ask: "Ask"
    answer: str


@dataclass(frozen=True)
class Reply:
    """Answer a conversation that ends on a user turn."""

    messages: Conversation


@dataclass(frozen=True)
class Critique:
    """Say what is wrong with a response under one principle (§3.1)."""

    messages: Conversation
    response: str
    critique_request: str
    examples: Sequence[Worked] = ()


@dataclass(frozen=True)
class Revision:
    """Rewrite a response in the light of its critique (§3.1)."""

    messages: Conversation
    response: str
    critique_request: str
    critique: str
    revision_request: str
    examples: Sequence[Worked] = ()


@dataclass(frozen=True)
class DirectRevision:
    """Rewrite a response without a critique (the ablation of §3.5)."""

    messages: Conversation
    response: str
    revision_request: str
    examples: Sequence[Worked] = ()


@dataclass(frozen=True)
class Comparison:
    """Say which of two responses a question prefers; the letter is read, never sampled (§4.1)."""

    messages: Conversation
    first: str
    second: str
    question: str
    examples: Sequence[Worked] = ()


@dataclass(frozen=True)
class Thoughts:
    """Think step by step before two responses are compared (§4.1)."""

    messages: Conversation
    first: str
    second: str
    question: str
    examples: Sequence[Worked] = ()


@dataclass(frozen=True)
class Verdict:
    """Say which of the two responses is better, after the thoughts; the letter is read, never sampled (§4.1)."""

    of: Thoughts
    thoughts: str


@dataclass(frozen=True)
class Continue:
    """Go on with a list that waits for its next line."""

    text: str


@dataclass(frozen=True)
class Rule:
    """One of the numbered rules in front of a conversation; its number is its place among them."""

    name: str
    text: str


@dataclass(frozen=True)
class RuleThoughts:
    """Think which of the rules apply, before a conversation is answered under them (SELF-ALIGN, stage 2).

    Worked examples are answers (`RuledReply`) to conversations without rules of their own: those in front are theirs.
    """

    messages: Conversation
    rules: Sequence[Rule] = ()
    examples: Sequence[Worked] = ()


@dataclass(frozen=True)
class RuledReply:
    """Answer a conversation after the thoughts that name the rules (SELF-ALIGN, stage 2)."""

    of: RuleThoughts
    thoughts: str


@dataclass(frozen=True)
class StyledReply:
    """Answer a conversation behind an instruction about how an answer is to be (SELF-ALIGN, stage 4)."""

    messages: Conversation
    instruction: str


@dataclass(frozen=True)
class Plain:
    """Go on with a text as it stands, which brings choices and stop strings of its own."""

    text: str
    choices: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()


@dataclass(frozen=True)
class NumberedList:
    """Go on with a numbered list from its next number, behind other lists; it ends at a blank line.

    A worked list is one without its last item; that is the answer.
    """

    header: str
    items: tuple[str, ...] = ()
    examples: Sequence[Worked] = ()


Ask = (
    Reply
    | Critique
    | Revision
    | DirectRevision
    | Comparison
    | Thoughts
    | Verdict
    | Continue
    | RuleThoughts
    | RuledReply
    | StyledReply
    | Plain
    | NumberedList
)

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Worked, Rule, *get_args(Ask))}


def n_choices(asks: Sequence[Ask]) -> int:
    """Return how many choices each of these asks has: two, but for plain texts."""
    return len(asks[0].choices) if asks and isinstance(asks[0], Plain) else 2


def common(asks: Sequence[Ask], of: Callable[[Ask], tuple[str, ...]]) -> tuple[str, ...]:
    """Return the stop strings or the choices of the asks of one call; `ValueError` if they are not all the same."""
    found = dict.fromkeys(of(ask) for ask in asks)
    if len(found) > 1:
        one, other, *_ = found
        raise ValueError(
            f"the asks of one call must have the same choices and the same stop strings, got {one} and {other}; ask in "
            f"two calls"
        )
    return next(iter(found), ())


def as_json(value: Any) -> Any:
    """Return an ask, or anything in one, in values that JSON can hold."""
    if is_dataclass(value):
        return {
            "kind": type(value).__name__,
            **{field.name: as_json(getattr(value, field.name)) for field in fields(value)},
        }
    return [as_json(item) for item in value] if isinstance(value, (list, tuple)) else value


def from_json(value: Any) -> Any:
    """Return what `as_json` wrote down."""
    if isinstance(value, dict) and "kind" in value:
        return _KINDS[value["kind"]](**{name: from_json(of) for name, of in value.items() if name != "kind"})
    return tuple(from_json(item) for item in value) if isinstance(value, list) else value
