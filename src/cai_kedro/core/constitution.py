"""The constitution: principles, few-shot examples, and the seeded draws from them.

Two kinds of principles (§1.2): one asks for a critique and a revision, the other asks which of two responses is
better. Files are read by `constitution_readers`. Texts are stored without the frames of any layout around them.
"""

import difflib
import hashlib
import json
import random
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from cai_kedro.core.asks import Comparison, DirectRevision, Revision, Thoughts, Verdict, Worked
from cai_kedro.core.conversation import HUMAN, Message, parse, user
from cai_kedro.core.layouts.hh import CRITIQUE, REVISION, STOPS
from cai_kedro.core.worked_examples import as_many_as_there_are


def _without_markers(text: str) -> str:
    for marker in (*STOPS, CRITIQUE, REVISION):
        if marker in f"\n\n{text}":
            raise ValueError(f"must not hold the marker {marker.strip()!r} at the start of a paragraph")
    return text


def _as_turns(given: Any) -> Any:
    """Accept a text in place of messages: in the Human/Assistant layout, or one human turn."""
    if not isinstance(given, str):
        return given
    text = f"\n\n{given.strip()}"
    return parse(text) if text.startswith(HUMAN) else [user(text.strip())]


def _ends_on_user(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    if not messages or messages[-1]["role"] != "user":
        raise ValueError("the conversation must end on a user turn")
    for place, turn in enumerate(messages):
        if turn["role"] == "system" and place > 0:
            raise ValueError("a system turn can only be the first one")
        if not turn["content"].strip():
            raise ValueError("the conversation has an empty turn")
        _without_markers(turn["content"])
    return messages


Id = Annotated[str, StringConstraints(pattern=r"^[\w.-]+$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), AfterValidator(_without_markers)]
Turns = Annotated[tuple[Message, ...], BeforeValidator(_as_turns), AfterValidator(_ends_on_user)]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CritiquePrinciple(_Frozen):
    """Asks for a critique, then for a revision (§3.1). No harms: the principle is about harm in general."""

    id: Id
    title: Text
    harms: tuple[Text, ...]
    critique_request: Text
    revision_request: Text


class PreferencePrinciple(_Frozen):
    """Asks which of two responses is better (§4.1); ` Options:` is added by the layout."""

    id: Id
    title: Text
    harms: tuple[Text, ...]
    question: Text


class CritiqueFewShot(_Frozen):
    """A worked critique and revision of the response that follows `messages`."""

    messages: Turns
    response: Text
    critique_request: Text
    critique: Text
    revision_request: Text
    revision: Text

    @property
    def worked(self) -> Worked:
        """The example as the critic reads it, from the conversation to the revision."""
        asked = Revision(self.messages, self.response, self.critique_request, self.critique, self.revision_request)
        return Worked(asked, self.revision)

    @property
    def worked_directly(self) -> Worked:
        """The example without its critique, for the ablation of §3.5."""
        return Worked(DirectRevision(self.messages, self.response, self.revision_request), self.revision)


class ComparisonFewShot(_Frozen):
    """Two responses of which one is better under any principle; the letters are drawn."""

    messages: Turns
    better: Text
    worse: Text

    def worked(self, question: str, better_first: bool) -> Worked:
        """The example with its answer, the better response as A or as B."""
        first, second = (self.better, self.worse) if better_first else (self.worse, self.better)
        return Worked(Comparison(self.messages, first, second, question), "A" if better_first else "B")


class CotFewShot(_Frozen):
    """A comparison with its thoughts, which name the letters: the order is fixed. No question: it is drawn."""

    messages: Turns
    question: Text | None
    first: Text
    second: Text
    thoughts: Text
    answer: Literal["A", "B"]

    def worked(self, question: str) -> Worked:
        """The example with its thoughts and answer; its own question goes before the one given."""
        asked = Thoughts(self.messages, self.first, self.second, self.question or question)
        return Worked(Verdict(asked, self.thoughts), self.answer)


class FewShots(_Frozen):
    """The worked examples of each format; any of them may be empty. `red_team_prompts` seed prompt generation."""

    critiques: tuple[CritiqueFewShot, ...]
    comparisons: tuple[ComparisonFewShot, ...]
    cots: tuple[CotFewShot, ...]
    red_team_prompts: tuple[Text, ...]


NO_FEW_SHOTS = FewShots(critiques=(), comparisons=(), cots=(), red_team_prompts=())


#: What is said where the labeller is to compare helpfulness and nothing says by what.
NO_HELPFULNESS = (
    "the labeller is to compare helpfulness (lineage.helpfulness is labeller), but the constitution has no helpfulness "
    "principles: add helpfulness_principles.yml to its folder, or set lineage.helpfulness to people or none"
)


class _HasId(Protocol):
    @property
    def id(self) -> str: ...


P = TypeVar("P", bound=_HasId)
Example = TypeVar("Example", ComparisonFewShot, CotFewShot)


def check_ids(principles: Sequence[_HasId]) -> None:
    """Raise `ValueError` that names the id and both places when two principles share an id."""
    places: dict[str, int] = {}
    for place, principle in enumerate(principles, start=1):
        if principle.id in places:
            raise ValueError(
                f"the id {principle.id!r} is used by entry {places[principle.id]} and by entry {place}; "
                f"give every principle an id of its own"
            )
        places[principle.id] = place


def _find(principles: Sequence[P], wanted: str, kind: str) -> P:
    for principle in principles:
        if principle.id == wanted:
            return principle
    ids = [principle.id for principle in principles]
    near = difflib.get_close_matches(wanted, ids, n=3) or ids
    raise ValueError(f"the constitution has no {kind} principle {wanted!r}; did you mean one of {', '.join(near)}?")


class Constitution(_Frozen):
    """All that people say about harm. The order of the principles is part of it: draws go by position."""

    critique_principles: tuple[CritiquePrinciple, ...] = Field(min_length=1)
    preference_principles: tuple[PreferencePrinciple, ...] = Field(min_length=1)
    few_shots: FewShots
    #: by which a labeller compares for helpfulness where no people did; a constitution may have none
    helpfulness_principles: tuple[PreferencePrinciple, ...] = ()

    @model_validator(mode="after")
    def _ids_are_unique(self) -> "Constitution":
        check_ids(self.critique_principles)
        check_ids(self.preference_principles)
        check_ids(self.helpfulness_principles)
        return self

    @property
    def sha256(self) -> str:
        """A digest of every principle and example, whatever format they were read from."""
        # what a constitution does not have is no part of it: an optional kind must not rename those without
        absent = set() if self.helpfulness_principles else {"helpfulness_principles"}
        content = json.dumps(self.model_dump(mode="json", exclude=absent), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()

    def critique(self, principle_id: str) -> CritiquePrinciple:
        """Return one critique principle; raises `ValueError` with near matches."""
        return _find(self.critique_principles, principle_id, "critique")

    def preference(self, principle_id: str) -> PreferencePrinciple:
        """Return one preference principle; raises `ValueError` with near matches."""
        return _find(self.preference_principles, principle_id, "preference")

    def helpfulness(self, principle_id: str) -> PreferencePrinciple:
        """Return one helpfulness principle; raises `ValueError` with near matches."""
        return _find(self.helpfulness_principles, principle_id, "helpfulness")


def draw_principle(principles: Sequence[P], rng: random.Random) -> P:
    """Draw one principle, every one equally likely; repeated draws are with replacement (§3.1).

    The generator is the row's own: `rng_for(seed, "critique", prompt_id, sample, step)`.
    """
    return rng.choice(principles)


def _draw_examples(examples: Sequence[Example], n: int, rng: random.Random, kind: str) -> list[Example]:
    """Draw `n` different examples, or all of them in a drawn order where there are fewer."""
    return rng.sample(examples, as_many_as_there_are(n, len(examples), kind))


def draw_comparison_few_shots(
    few_shots: Sequence[ComparisonFewShot], principles: Sequence[PreferencePrinciple], n: int, rng: random.Random
) -> tuple[Worked, ...]:
    """Draw `n` different examples, or all, and of each its principle and the letter of the better response (§4.1)."""
    worked = []
    for example in _draw_examples(few_shots, n, rng, "comparisons"):
        question = draw_principle(principles, rng).question
        worked.append(example.worked(question, better_first=rng.random() < 0.5))  # noqa: PLR2004 - a fair coin
    return tuple(worked)


def draw_cot_few_shots(
    few_shots: Sequence[CotFewShot], principles: Sequence[PreferencePrinciple], n: int, rng: random.Random
) -> tuple[Worked, ...]:
    """Draw `n` different examples, or all, and, for each, a principle in case it has no question of its own (§4.1)."""
    drawn = _draw_examples(few_shots, n, rng, "cots")
    return tuple(example.worked(draw_principle(principles, rng).question) for example in drawn)
