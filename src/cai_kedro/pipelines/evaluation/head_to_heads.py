"""Every two policies meet at every prompt; a judge, a language model or people decide who wins."""

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from cai_kedro.core.axes import REFEREE, Axes
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.exam import referee_called
from cai_kedro.core.judging import MeasuredReferee, PairJudge, Referee
from cai_kedro.core.seeding import rng_for
from cai_kedro.metrics.estimate import Estimate
from cai_kedro.pipelines.evaluation.exam import with_axes
from cai_kedro.pipelines.evaluation.params import EvaluationParams
from cai_kedro.reporting.summary import REFEREE_ACCURACY

logger = logging.getLogger(__name__)

#: 1 where the referee is a model that gave the labels of the training; an axis with raters of its own has it by name.
SELF_JUDGED = "referee.is_training_judge"

_MEETING = ["prompt_id", "messages", "criterion", "question", "policy_a", "policy_b", "response_a", "response_b"]


def admit_referee_of(
    teachers: Sequence[str], deciders: Mapping[str, Sequence[str]]
) -> Callable[..., dict[str, Estimate]]:
    """Return the node function that looks at the referees.

    `deciders` are their entries of the catalog with the axes of each; the function is given them in this order, then
    the digests of the models that `teachers` name.
    """

    def admit_referee(params: EvaluationParams, *given: PairJudge | Referee | str) -> dict[str, Estimate]:
        """Refuse a referee that the policies learned from, unless the user insists; return whether it did.

        Of a referee that learned from people, its accuracy on held-out comparisons is returned too, per axis.

        A policy is trained to please the labeller, so the labeller's verdict on it is no evidence. `n` is the number of
        models that were looked at. A judge of which no digest is known (a class of yours) is taken at its word.
        """
        digests = given[len(deciders) :]
        metrics: dict[str, Estimate] = {}
        for (entry, axes), referee in zip(deciders.items(), given, strict=False):
            digest = referee.digest() if isinstance(referee, Referee) else None
            same = [name for name, known in zip(teachers, digests, strict=True) if known == digest]
            _refuse(entry, same, params)
            told = Estimate(value=float(bool(same)), low=None, high=None, n=len(teachers))
            metrics |= {f"{SELF_JUDGED}.{axis}": told for axis in axes} if entry != REFEREE else {SELF_JUDGED: told}
            accuracy = referee.accuracy() if isinstance(referee, MeasuredReferee) else {}
            metrics |= {f"{REFEREE_ACCURACY}{axis}": accuracy[axis] for axis in accuracy if axis in axes}
        return metrics

    return admit_referee


def _refuse(entry: str, same: Sequence[str], params: EvaluationParams) -> None:
    """Refuse a referee that is one of the models `same`, or warn where the user insists."""
    if same and not params.elo.allow_training_judge:
        raise ValueError(
            f"{referee_called(entry)} is the model {same[0]!r}, which labels, thinks, criticises or answers in the "
            f"training: its verdict on what it trained is no evidence. Name another model under `{entry}` in the "
            f"catalog, or set the parameter evaluation.elo.allow_training_judge=true, which marks the ratings"
        )
    if same:
        logger.warning(
            "%s is the model %r, which the policies learned from: ratings are marked", referee_called(entry), same[0]
        )


def decide_head_to_heads(
    responses: pd.DataFrame,
    prompts: pd.DataFrame,
    prompt_axes: pd.DataFrame,
    axes: Axes,
    seed: int,
    **referees: PairJudge | Referee,
) -> pd.DataFrame:
    """Let every two policies meet at every prompt that they answered, on each axis that the prompt counts on.

    `responses`, `prompts`, `axes` → `head_to_heads`. `by_{entry}` in `referees` decides on the axes that name this
    entry of the catalog; what nobody decides is left out. Equal answers tie.
    """
    meetings = _meetings(with_axes(responses, prompts, prompt_axes), axes)
    decided_by = np.array([f"by_{axes.measured[axis].raters}" for axis in meetings["criterion"]], dtype=object)
    outcome = np.full(len(meetings), np.nan)
    for name, referee in referees.items():
        own = decided_by == name
        if own.any():
            outcome[own] = _outcomes(referee, meetings[own].reset_index(drop=True), seed)
    table = meetings.assign(outcome=outcome)
    played = table[~np.isnan(outcome)].reset_index(drop=True)
    logger.info("%d head-to-heads at %d prompts", len(played), played["prompt_id"].nunique())
    return played[["prompt_id", "policy_a", "policy_b", "criterion", "outcome"]]


def _outcomes(referee: PairJudge | Referee, meetings: pd.DataFrame, seed: int) -> np.ndarray:
    if isinstance(referee, Referee):
        return referee.decide(meetings, seed)
    return np.array([_verdict(referee, row, seed) for row in meetings.itertuples()], dtype=float)


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
