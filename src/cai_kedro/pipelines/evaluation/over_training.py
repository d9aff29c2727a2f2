"""Over-training: what the preference model sees along RL, and what the judge does (F12, §4.3)."""

from collections.abc import Callable, Mapping, Sequence
from typing import get_args

import numpy as np
import pandas as pd

from cai_kedro.core.axes import Axes, TrainingPrompts
from cai_kedro.core.conversation import Conversation, as_messages
from cai_kedro.core.judging import LOOK_ALIKE, RATING_SCALE, Judge, Judgement, rates
from cai_kedro.metrics.collapse import collapse_of
from cai_kedro.metrics.estimate import Estimate, bounded_mean, mean
from cai_kedro.metrics.over_optimisation import signals_of
from cai_kedro.pipelines.evaluation.answers import NO_ANSWER
from cai_kedro.pipelines.evaluation.ratings import Metrics

_KINDS: tuple[TrainingPrompts, ...] = get_args(TrainingPrompts)


def measure_over_training_of(arms: Sequence[str]) -> Callable[..., Metrics]:
    """Return the node function that reports on these arms."""

    def measure_over_training(
        axes: Axes,
        red_team_prompts: pd.DataFrame,
        given_red_team_prompts: pd.DataFrame,
        judge: Judge | None = None,
        **tables: pd.DataFrame,
    ) -> Metrics:
        """Report on the replies to prompts of RL on which the choice of the snapshot rests (→ metrics).

        `over_training.{arm}.step_{k}.{signal}`: `pm_score`, `kl`, `tokens`, `eos_rate`, `evasive`, `boilerplate`,
        `distinct_2`; and what the choice did not know, if there is a judge that rates: `harmlessness` of the replies to
        red-team prompts, look-alikes left out, and `helpfulness` of the others (0 to 4), by the axes of these prompts.
        Without a preference model there is no `pm_score`.
        `over_training.{arm}.kept` is the snapshot kept, 0 for the start policy, of n; n is 1 where there was no RL.
        `over_training_kept.{arm}.{signal}` is what its replies show: the signals above, and `repeated_sentences` and
        `alike`, the signs of collapse (`metrics/collapse.py`).
        `over_training_change.{arm}.pm_score` and `….harmlessness` are the last snapshot's less those of the one kept,
        prompt by prompt; there is no change where the last one is kept.
        `tables` are `{arm}_signals`, `{arm}_choice` and `{arm}_prompts` of each arm.
        """
        red_team = {*red_team_prompts["prompt_id"], *given_red_team_prompts["prompt_id"]}
        metrics: Metrics = {}
        for arm in arms:
            signals, choice = tables[f"{arm}_signals"], tables[f"{arm}_choice"]
            prompts = tables[f"{arm}_prompts"]
            messages = dict(zip(prompts["prompt_id"], map(as_messages, prompts["messages"]), strict=True))
            kinds = signals["prompt_id"].isin(red_team).map({True: "red_team", False: "helpful"})
            asked = signals.assign(axis=kinds.map({kind: axes.of_training(kind) for kind in _KINDS}))
            rated = asked.assign(rating=_ratings(asked, messages, judge, axes))
            kept = int(choice[choice["kept"]]["step"].iloc[0])
            for (step,), replies in rated.groupby(["step"], sort=True):
                found = {**signals_of(replies), **_truth(replies, axes)}
                metrics |= {f"over_training.{arm}.step_{step}.{name}": figure for name, figure in found.items()}
                if step == kept:
                    found |= collapse_of(replies).shares()
                    metrics |= {f"over_training_kept.{arm}.{name}": figure for name, figure in found.items()}
            after = _after(rated, kept, axes.of_training("red_team"))
            metrics |= {f"over_training_change.{arm}.{name}": figure for name, figure in after.items()}
            metrics[f"over_training.{arm}.kept"] = Estimate(value=kept, low=None, high=None, n=len(choice))
        return metrics

    return measure_over_training


def _ratings(
    replies: pd.DataFrame, messages: Mapping[str, Conversation], judge: Judge | None, axes: Axes
) -> list[float]:
    """Return the judge's rating of each reply on its axis; NaN where nobody rates, and of look-alikes' harmlessness."""
    if judge is None or not rates(judge):
        return [np.nan] * len(replies)
    verdicts: list[Judgement] = [
        judge.judge(messages[row.prompt_id], str(row.response) or NO_ANSWER) for row in replies.itertuples()
    ]
    of_harm = axes.of_training("red_team")
    return [
        np.nan if verdict.category == LOOK_ALIKE and axis == of_harm else verdict.rating(str(axis))
        for verdict, axis in zip(verdicts, replies["axis"], strict=True)
    ]


def _truth(replies: pd.DataFrame, axes: Axes) -> Metrics:
    """Return the mean rating on each axis that training prompts are about, where there is one."""
    rated = replies[replies["rating"].notna()]
    parts = {axis: rated[rated["axis"] == axis] for kind in _KINDS if (axis := axes.of_training(kind))}
    return {axis: bounded_mean(part["rating"], *RATING_SCALE) for axis, part in parts.items() if len(part)}


def _after(replies: pd.DataFrame, kept: int, axis: str | None) -> Metrics:
    """Return what training after the snapshot kept changed, prompt by prompt: `pm_score`, the rating on the axis."""
    last = int(replies["step"].max())
    if last == kept:
        return {}
    width = RATING_SCALE[1]
    score, truth = (
        part.pivot(index="prompt_id", columns="step", values=name).reindex(columns=[kept, last]).dropna()
        for part, name in ((replies, "pm_score"), (replies[replies["axis"] == axis], "rating"))
    )
    changes: Metrics = {"pm_score": mean(score[last] - score[kept])} if len(score) else {}
    if axis and len(truth):
        changes[axis] = bounded_mean(truth[last] - truth[kept], -width, width)
    return changes
