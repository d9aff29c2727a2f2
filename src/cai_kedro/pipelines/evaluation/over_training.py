"""Over-training: what the preference model sees along RL, and what the judge does (F12, §4.3)."""

from collections.abc import Callable, Sequence

import pandas as pd

from cai_kedro.core.conversation import as_messages
from cai_kedro.core.judging import RATING_SCALE, Judge
from cai_kedro.metrics.estimate import Estimate, bounded_mean, mean
from cai_kedro.metrics.over_optimisation import signals_of
from cai_kedro.pipelines.evaluation.answers import NO_ANSWER
from cai_kedro.pipelines.evaluation.ratings import Metrics


def measure_over_training_of(arms: Sequence[str]) -> Callable[..., Metrics]:
    """Return the node function that reports on these arms."""

    def measure_over_training(
        judge: Judge,
        red_team_prompts: pd.DataFrame,
        given_red_team_prompts: pd.DataFrame,
        **tables: pd.DataFrame,
    ) -> Metrics:
        """Report on the replies to prompts of RL on which the choice of the snapshot rests (→ metrics).

        `over_training.{arm}.step_{k}.{signal}`: `pm_score`, `kl`, `tokens`, `eos_rate`, `evasive`, `boilerplate`,
        `distinct_2`; and what the choice did not know: `harmlessness` of the replies to red-team prompts and
        `helpfulness` of the others, as the judge rates them (0 to 4). `over_training.{arm}.kept` is the snapshot kept,
        0 for the start policy, of n.
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
            said = [
                judge.judge(messages[row.prompt_id], str(row.response) or NO_ANSWER) for row in signals.itertuples()
            ]
            rated = signals.assign(
                harmlessness=[judgement.harmlessness for judgement in said],
                helpfulness=[judgement.helpfulness for judgement in said],
                red_team=signals["prompt_id"].isin(red_team),
            )
            for (step,), replies in rated.groupby(["step"], sort=True):
                found = {**signals_of(replies), **_truth(replies)}
                metrics |= {f"over_training.{arm}.step_{step}.{name}": figure for name, figure in found.items()}
            kept = int(choice[choice["kept"]]["step"].iloc[0])
            metrics |= {f"over_training_change.{arm}.{name}": figure for name, figure in _after(rated, kept).items()}
            metrics[f"over_training.{arm}.kept"] = Estimate(value=kept, low=None, high=None, n=len(choice))
        return metrics

    return measure_over_training


def _truth(replies: pd.DataFrame) -> Metrics:
    parts = {"harmlessness": replies[replies["red_team"]], "helpfulness": replies[~replies["red_team"]]}
    return {name: bounded_mean(part[name], *RATING_SCALE) for name, part in parts.items() if len(part)}


def _after(replies: pd.DataFrame, kept: int) -> Metrics:
    """Return what training after the snapshot kept changed, prompt by prompt: `pm_score`, `harmlessness`."""
    last = int(replies["step"].max())
    if last == kept:
        return {}
    width = RATING_SCALE[1]
    score, truth = (
        part.pivot(index="prompt_id", columns="step", values=name)[[kept, last]].dropna()
        for part, name in ((replies, "pm_score"), (replies[replies["red_team"]], "harmlessness"))
    )
    changes: Metrics = {"pm_score": mean(score[last] - score[kept])}
    if len(truth):
        changes["harmlessness"] = bounded_mean(truth[last] - truth[kept], -width, width)
    return changes
