"""Every two policies meet at every prompt; a judge, a language model or people decide who wins."""

import logging
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from cai_kedro.core.axes import Axes
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.judging import MeasuredReferee, PairJudge, Referee
from cai_kedro.core.seeding import rng_for
from cai_kedro.metrics.estimate import Estimate
from cai_kedro.pipelines.evaluation.exam import with_axes
from cai_kedro.pipelines.evaluation.params import EvaluationParams
from cai_kedro.reporting.summary import REFEREE_ACCURACY

logger = logging.getLogger(__name__)

#: 1 where the referee is a model that gave the labels of the training.
SELF_JUDGED = "referee.is_training_judge"

_MEETING = ["prompt_id", "messages", "criterion", "question", "policy_a", "policy_b", "response_a", "response_b"]


def admit_referee_of(teachers: Sequence[str]) -> Callable[..., dict[str, Estimate]]:
    """Return the node function that looks at the referee; `teachers` name the models whose digests it is given."""

    def admit_referee(referee: PairJudge | Referee, params: EvaluationParams, *digests: str) -> dict[str, Estimate]:
        """Refuse a referee that the policies learned from, unless the user insists; return whether it did.

        Of a referee that learned from people, its accuracy on held-out comparisons is returned too, per axis.

        A policy is trained to please the labeller, so the labeller's verdict on it is no evidence. `n` is the number of
        models that were looked at. A judge of which no digest is known (a class of yours) is taken at its word.
        """
        digest = referee.digest() if isinstance(referee, Referee) else None
        same = [name for name, known in zip(teachers, digests, strict=True) if known == digest]
        if same and not params.elo.allow_training_judge:
            raise ValueError(
                f"the referee is the model {same[0]!r}, which labels, thinks, criticises or answers in the training: "
                f"its verdict on what it trained is no evidence. Name another model under `referee` in the catalog, or "
                f"set the parameter evaluation.elo.allow_training_judge=true, which marks the ratings"
            )
        if same:
            logger.warning("the referee is the model %r, which the policies learned from: ratings are marked", same[0])
        accuracy = referee.accuracy() if isinstance(referee, MeasuredReferee) else {}
        return {
            SELF_JUDGED: Estimate(value=float(bool(same)), low=None, high=None, n=len(teachers)),
            **{f"{REFEREE_ACCURACY}{axis}": estimate for axis, estimate in accuracy.items()},
        }

    return admit_referee


def decide_head_to_heads(
    responses: pd.DataFrame,
    prompts: pd.DataFrame,
    prompt_axes: pd.DataFrame,
    referee: PairJudge | Referee,
    axes: Axes,
    seed: int,
) -> pd.DataFrame:
    """Let every two policies meet at every prompt that they answered, on each axis that the prompt counts on.

    `responses`, `prompts`, `axes` → `head_to_heads`. Equal answers tie. What a referee leaves undecided is left out.
    """
    meetings = _meetings(with_axes(responses, prompts, prompt_axes), axes)
    if isinstance(referee, Referee):
        outcome = referee.decide(meetings, seed)
    else:
        outcome = np.array([_verdict(referee, row, seed) for row in meetings.itertuples()], dtype=float)
    table = meetings.assign(outcome=outcome)
    played = table[~np.isnan(outcome)].reset_index(drop=True)
    logger.info("%d head-to-heads at %d prompts", len(played), played["prompt_id"].nunique())
    return played[["prompt_id", "policy_a", "policy_b", "criterion", "outcome"]]


def _meetings(answered: pd.DataFrame, axes: Axes) -> pd.DataFrame:
    rows = []
    for (prompt_id, axis), met in answered.groupby(["prompt_id", "axis"], sort=True):
        messages, question = as_messages(met["messages"].iloc[0]), axes.measured[str(axis)].question
        answers = dict(zip(met["policy"], met["response"], strict=True))
        for a, b in combinations(sorted(answers), 2):
            rows.append((prompt_id, messages, axis, question, a, b, answers[a], answers[b]))
    return pd.DataFrame(rows, columns=_MEETING)


def _verdict(judge: PairJudge, row: tuple, seed: int) -> float:
    """Ask about one meeting; which answer is read first is drawn, so that a judge who likes it favours no policy."""
    _, prompt_id, messages, criterion, _, a, b, of_a, of_b = row
    if of_a == of_b:
        return 0.5
    rng = rng_for(seed, "head_to_head", prompt_id, a, b)
    if rng.random() < 0.5:  # noqa: PLR2004 - a coin
        return 1 - judge.prefer(messages, of_b, of_a, criterion, rng)
    return judge.prefer(messages, of_a, of_b, criterion, rng)
