"""The policies along RL on held-out prompts: who is how harmless and helpful when (F8, §4.3)."""

import logging
from collections.abc import Callable, Mapping

import pandas as pd

from cai_kedro.core.asks import Reply
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.judging import Judge
from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.fitting import generate_fitting
from cai_kedro.metrics.bradley_terry import fit_ratings
from cai_kedro.pipelines.evaluation.answers import NO_ANSWER
from cai_kedro.pipelines.evaluation.head_to_heads import play_head_to_heads
from cai_kedro.pipelines.evaluation.params import EvaluationParams
from cai_kedro.pipelines.evaluation.ratings import Metrics, linked
from cai_kedro.templates.selection import choose

logger = logging.getLogger(__name__)

_STEP = "_step_"


def gather_snapshot_prompts(
    policy_prompts: pd.DataFrame, eval_red_team_prompts: pd.DataFrame, params: EvaluationParams, seed: int
) -> pd.DataFrame:
    """Choose the prompts that every snapshot answers, of those that the final policies answer (→ `prompts`)."""
    red_team = policy_prompts["prompt_id"].isin(eval_red_team_prompts["prompt_id"])
    limits = params.snapshots
    parts = ((policy_prompts[red_team], limits.harmlessness), (policy_prompts[~red_team], limits.helpfulness))
    return pd.concat([choose(table, most, seed, "snapshot prompts") for table, most in parts], ignore_index=True)


def answer_along(arm: str) -> Callable[[pd.DataFrame, Mapping[int, TextEngine], EvaluationParams, int], pd.DataFrame]:
    """Return the node function by which the snapshots of one arm answer; policies are named `{arm}_step_{rollouts}`."""

    def answer(
        prompts: pd.DataFrame, snapshots: Mapping[int, TextEngine], params: EvaluationParams, seed: int
    ) -> pd.DataFrame:
        """Answer every prompt once per snapshot (`prompts` → `responses`), with the final policies' random numbers.

        A prompt that is over the context is left out, with a warning.
        """
        asked = [Reply(as_messages(cell)) for cell in prompts["messages"]]
        seeds = [derive_seed(seed, "evaluation", prompt_id, 0) for prompt_id in prompts["prompt_id"]]
        tables = []
        for step, engine in snapshots.items():
            completions = generate_fitting(engine, asked, params.sampling, seeds)
            table = pd.DataFrame({"prompt_id": prompts["prompt_id"].to_numpy(), "sample": 0})
            texts = [None if done is None else done.text.strip() or NO_ANSWER for done in completions]
            tables.append(table.assign(policy=f"{arm}{_STEP}{step}", response=pd.Series(texts, dtype=object)))
        return _without_too_long(pd.concat(tables, ignore_index=True), arm)

    answer.__name__ = f"answer_along_{arm}"
    return answer


def _without_too_long(responses: pd.DataFrame, arm: str) -> pd.DataFrame:
    """Leave out the prompts that a snapshot could not read; raises `ValueError` where none is left."""
    too_long = sorted(set(responses["prompt_id"][responses["response"].isna()]))
    n = responses["prompt_id"].nunique()
    if too_long and len(too_long) == n:
        raise ValueError(f"none of {n} prompts fits into the context of the snapshots of {arm}: give shorter ones")
    if too_long:
        logger.warning(
            "%d of %d prompts do not fit into the context of the snapshots of %s, such as %r: left out",
            len(too_long),
            n,
            arm,
            too_long[0],
        )
    return responses[~responses["prompt_id"].isin(too_long)].reset_index(drop=True)


def rate_snapshots(starts: Mapping[str, str]) -> Callable[..., Metrics]:
    """Return the node function that rates the snapshots of every arm; `starts` is the policy an arm started from."""

    def rate(
        snapshot_judgements: pd.DataFrame,
        policy_judgements: pd.DataFrame,
        prompts: pd.DataFrame,
        judge: Judge,
        params: EvaluationParams,
        seed: int,
    ) -> Metrics:
        """Return `snapshot_elo.{criterion}.{arm}.step_{k}` and its change (`judgements` ×2, `prompts` → metrics).

        The snapshots of all arms, the policies that these started from (step 0) and the reference policy, at 0, play
        each other at the same held-out prompts. They are rated together, so that arms with the same start begin at the
        same Elo. `snapshot_elo_change.{criterion}.{arm}` is the last snapshot's lead over the start, at the same
        resampled prompts.
        """
        here = policy_judgements[policy_judgements["prompt_id"].isin(prompts["prompt_id"])]
        others = here[here["policy"].isin([*starts.values(), params.elo.reference])]
        played = play_head_to_heads(pd.concat([snapshot_judgements, others]), prompts, judge, seed)
        policies = dict.fromkeys(snapshot_judgements["policy"])
        metrics: Metrics = {}
        for (criterion,), part in played.groupby(["criterion"], sort=True):
            name = f"snapshot_elo.{criterion}"
            rated = linked(part, params.elo.reference, name)
            if rated.empty:
                continue
            fitted = fit_ratings(rated, params.elo.reference, params.n_bootstrap, derive_seed(seed, name))
            for arm, start in starts.items():
                steps = {0: start} | {step_of(policy): policy for policy in policies if arm_name(policy) == arm}
                known = {step: steps[step] for step in sorted(steps) if steps[step] in fitted.policies}
                metrics |= {f"{name}.{arm}.step_{k}": fitted.above_reference(policy) for k, policy in known.items()}
                if 0 in known and max(known) > 0:
                    change = fitted.above(known[max(known)], known[0])
                    metrics[f"snapshot_elo_change.{criterion}.{arm}"] = change
        return metrics

    rate.__name__ = "rate_snapshots"
    return rate


def arm_name(policy: str) -> str:
    """Return the arm of a snapshot named `{arm}_step_{rollouts}`."""
    return policy.rpartition(_STEP)[0]


def step_of(policy: str) -> int:
    """Return the number of rollouts of a snapshot named `{arm}_step_{rollouts}`."""
    return int(policy.rpartition(_STEP)[2])
