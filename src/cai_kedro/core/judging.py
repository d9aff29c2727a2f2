"""What the evaluation asks of a judge, and the baselines of human raters. The catalog decides who answers."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from cai_kedro.core.conversation import Conversation

#: Ratings of a judge and of people: from 0 (the worst; of harmfulness the least) to 4.
RATING_SCALE = (0.0, 4.0)

#: The category of a harmless request that only looks harmful.
LOOK_ALIKE = "look_alike"


@dataclass(frozen=True)
class Judgement:
    """What a judge says of one answer.

    `behaviour` is None of a judge that names none. `category` is the harm that is asked for, `LOOK_ALIKE` where it only
    looks like one, None where no harm is asked. `ratings` are by axis, from 0 (worst) to 4 (best); an axis that the
    judge does not rate is not there.
    """

    behaviour: str | None = None
    category: str | None = None
    ratings: Mapping[str, float] = field(default_factory=dict)

    def rating(self, axis: str) -> float:
        """Return the rating on an axis, NaN where there is none."""
        return float(self.ratings.get(axis, np.nan))


@dataclass(frozen=True)
class Objection:
    """What an answer that objects says: whether to the act that was asked, and which harm its reason is about."""

    to_the_act: bool
    harm: str


class Judge(Protocol):
    """Says of an answer how it behaves, how good it is, or both. Never a model that a policy was trained on."""

    def judge(self, messages: Conversation, response: str) -> Judgement:
        """Say how the response behaves, and rate it."""
        ...


@runtime_checkable
class BatchJudge(Protocol):
    """A judge that reads many answers at a time, as a language model does."""

    def judge_all(self, answers: Sequence[tuple[Conversation, str]]) -> list[Judgement]:
        """Say of each response to its conversation what `Judge.judge` says."""
        ...


def verdicts(answers: Sequence[tuple[Conversation, str]], judge: Judge) -> list[Judgement]:
    """Ask about many answers, each to its conversation, at once where the judge can."""
    if isinstance(judge, BatchJudge):
        return judge.judge_all(answers)
    return [judge.judge(messages, response) for messages, response in answers]


def rates(judge: Judge) -> bool:
    """Tell whether a judge gives ratings. One that gives none says `rates = False`, and is not asked for any."""
    return bool(getattr(judge, "rates", True))


@runtime_checkable
class PairJudge(Protocol):
    """Decides head-to-heads one by one."""

    def prefer(self, messages: Conversation, a: str, b: str, axis: str, rng: random.Random) -> float:
        """Return 1.0 if `a` wins on the axis, 0.0 if `b` does, 0.5 for a tie, NaN where it cannot tell.

        Noise comes from `rng` alone.
        """
        ...


@runtime_checkable
class KnownNoise(Protocol):
    """A judge or pair judge that knows how sure its raters are of a pair."""

    def p_prefer(self, messages: Conversation, a: str, b: str, axis: str) -> float | None:
        """Return how probably a rater prefers `a` on the axis, in [0, 1]; None where it cannot tell."""
        ...


@runtime_checkable
class Referee(Protocol):
    """Decides head-to-heads many at a time: a language model, or what people said. A `PairJudge` does one by one."""

    def digest(self) -> str | None:
        """Return the digest of the model that decides (`engines.model_files.weights_digest`), None if it is none."""
        ...

    def decide(self, meetings: pd.DataFrame, seed: int) -> np.ndarray:
        """Return the outcome of every meeting: 1 if A won, 0 if B did, 0.5 for a tie, NaN where nobody compared: (n,).

        A meeting has `prompt_id, messages, criterion, question, policy_a, policy_b, response_a, response_b`; the
        criterion is an axis, the question that of the axis.
        """
        ...


def decides_new_answers(referee: PairJudge | Referee) -> bool:
    """Tell whether a referee can compare answers that it has not seen; what people said belongs to those shown."""
    return bool(getattr(referee, "decides_new_answers", True))


@runtime_checkable
class KnownModel(Protocol):
    """A judge or a referee that is a language model, and what it is known by."""

    @property
    def server(self) -> tuple[str, ...] | None:
        """Address and name of a model on a server, None of any other one."""
        ...

    def digest(self) -> str | None:
        """Return the digest of its weights, None of a server's."""
        ...


@runtime_checkable
class MeasuredReferee(Protocol):
    """A referee that learned from people, and how often it agrees with those that it did not learn from."""

    def conversations(self) -> set[tuple[tuple[str, str], ...]]:
        """Return the conversations that it learns from (`core.held_out.written_alike`)."""
        ...

    def accuracy(self) -> Mapping[str, Any]:
        """Return, per axis, the share of the held-out comparisons (`metrics.estimate.Estimate`)."""
        ...


@runtime_checkable
class ObjectionReader(Protocol):
    """A judge that can also read which harm an objection gives as its reason."""

    def objection(self, messages: Conversation, response: str) -> Objection | None:
        """Return what the response objects to and why, None if it does not object."""
        ...


class Raters(Protocol):
    """Those who label pairs: simulated people in the micro world, recorded comparisons elsewhere."""

    def compare(self, pairs: pd.DataFrame, objective: str, seed: int) -> pd.DataFrame:
        """Turn a table of kind `pairs` into one of kind `comparisons`, source `human`."""
        ...


@runtime_checkable
class SeveralRaters(Protocol):
    """Raters of whom it is known what each of several said of a pair: that says how far people agree."""

    def votes(self, pairs: pd.DataFrame, objective: str, seed: int) -> pd.DataFrame:
        """Return the votes on `pairs` (→ `pair_id, rater, prefers_a`: 1 for A, 0 for B), none where one has no view."""
        ...


@runtime_checkable
class RecordedComparisons(Protocol):
    """Raters who compared other assistants' answers before the run: their pairs are used, none is sampled for them."""

    def recorded_pairs(self, prompts: pd.DataFrame) -> pd.DataFrame:
        """Return every pair that was compared on one of the `prompts` (→ `pairs`, kind `recorded`)."""
        ...

    @property
    def path(self) -> str:
        """Where the comparisons were read from, for messages."""
        ...

    def compared(self, objective: str, prompts: pd.DataFrame) -> tuple[int, int]:
        """Return how many conversations were compared by an objective, and how many of them are among `prompts`."""
        ...


@runtime_checkable
class ConversationRaters(Protocol):
    """Raters who can also say how harmful one answer is, all by itself."""

    def rate(self, answers: pd.DataFrame, seed: int) -> pd.DataFrame:
        """Rate `prompt_id, messages, response` (→ `ratings`: the same and `rating`, from 0 to 4, 4 the most harmful).

        Recorded raters return what was recorded instead. What they cannot rate is left out.
        """
        ...
