"""The policies along RL on held-out prompts: who is how harmless and helpful when (F8, §4.3)."""

import logging
from collections.abc import Callable, Mapping

import pandas as pd

from cai_kedro.core.asks import Reply
from cai_kedro.core.axes import Axes
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.exam import referee_called
from cai_kedro.core.judging import PairJudge, Referee, decides_new_answers
from cai_kedro.core.schemas import empty_table
from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.fitting import generate_fitting
from cai_kedro.metrics.bradley_terry import fit_ratings
from cai_kedro.pipelines.evaluation.answers import NO_ANSWER
from cai_kedro.pipelines.evaluation.head_to_heads import decide_head_to_heads
from cai_kedro.pipelines.evaluation.params import EvaluationParams
from cai_kedro.pipelines.evaluation.ratings import Metrics, linked, mark_of

logger = logging.getLogger(__name__)

_STEP = "_step_"


def answer_along(arm: str) -> Callable[[pd.DataFrame, Mapping[int, TextEngine], EvaluationParams, int], pd.DataFrame]:
    """Return the node function by which the snapshots of one arm answer; policies are named `{arm}_step_{k}`."""

    def answer(
        prompts: pd.DataFrame, snapshots: Mapping[int, TextEngine], params: EvaluationParams, seed: int
    ) -> pd.DataFrame:
        """Answer every prompt once per snapshot (`prompts` → `responses`), with the final policies' random numbers.

        A prompt that is over the context is left out, with a warning. An arm without RL has no snapshots.
        """
        if not snapshots:
            return empty_table("responses")
        asked = [Reply(as_messages(cell)) for cell in prompts["messages"]]
        seeds = [derive_seed(seed, "evaluation", prompt_id, 0) for prompt_id in prompts["prompt_id"]]
        tables = []
        for step, engine in snapshots.items():
            completions = generate_fitting(engine, asked, params.sampling, seeds)
            table = pd.DataFrame({"prompt_id": prompts["prompt_id"].to_numpy(), "sample": 0})
            texts = [None if done is None or done.trouble else done.text.strip() or NO_ANSWER for done in completions]
            tables.append(table.assign(policy=f"{arm}{_STEP}{step}", response=pd.Series(texts, dtype=object)))
        return _without_too_long(pd.concat(tables, ignore_index=True), arm)

    answer.__name__ = f"answer_along_{arm}"
    return answer


def _without_too_long(responses: pd.DataFrame, arm: str) -> pd.DataFrame:
    """Leave out the prompts that a snapshot could not read; raises `ValueError` where none is left."""
    too_long = sorted(set(responses["prompt_id"][responses["response"].isna()]))
    n = responses["prompt_id"].nunique()
    if too_long and len(too_long) == n:
        raise ValueError(
            f"none of {n} prompts fits into context and chat template of the snapshots of {arm}: give other ones"
        )
    if too_long:
        logger.warning(
            "%d of %d prompts do not fit into context and chat template of the snapshots of %s, such as %r: left out",
            len(too_long),
            n,
            arm,
            too_long[0],
        )
    return responses[~responses["prompt_id"].isin(too_long)].reset_index(drop=True)


def gather_along(starts: Mapping[str, str], reference: str) -> Callable[..., pd.DataFrame]:
    """Return the node function that puts who meets along RL together; `starts` is the policy an arm started from."""

    def gather(
        snapshot_responses: pd.DataFrame,
        policy_responses: pd.DataFrame,
        prompts: pd.DataFrame,
    ) -> pd.DataFrame:
        """Put beside the snapshots' answers those of the start policies and of the reference (→ `responses`)."""
        here = policy_responses[policy_responses["prompt_id"].isin(prompts["prompt_id"])]
        others = here[here["policy"].isin([*starts.values(), reference])]
        return pd.concat([snapshot_responses, others], ignore_index=True)

    gather.__name__ = "gather_along_rl"
    return gather


def decide_along(
    responses: pd.DataFrame,
    prompts: pd.DataFrame,
    prompt_axes: pd.DataFrame,
    axes: Axes,
    seed: int,
    **referees: PairJudge | Referee,
) -> pd.DataFrame:
    """Let every two policies along RL meet (`responses`, `prompts`, `axes` → `head_to_heads`).

    Nobody meets by people's recorded outcomes, which are about the answers that they were shown.
    """
    able = {name: referee for name, referee in referees.items() if decides_new_answers(referee)}
    for entry in [name.removeprefix("by_") for name in referees if name not in able]:
        logger.warning(
            "%s knows no answers of snapshots: their Elo on %s is not measured",
            referee_called(entry),
            ", ".join(axes.deciders[entry]),
        )
    if able:
        return decide_head_to_heads(responses, prompts, prompt_axes, axes, seed, **able)
    return pd.DataFrame(columns=["prompt_id", "policy_a", "policy_b", "criterion", "outcome"])


def rate_snapshots(
    starts: Mapping[str, str], reference: str
) -> Callable[[pd.DataFrame, Metrics, EvaluationParams, int], Metrics]:
    """Return the node function that rates the snapshots of every arm; `starts` is the policy an arm started from."""

    def rate(head_to_heads: pd.DataFrame, referee_metrics: Metrics, params: EvaluationParams, seed: int) -> Metrics:
        """Return `snapshot_elo.{axis}.{arm}.step_{k}` and its change (`head_to_heads` → metrics).

        The snapshots of all arms, the policies that these started from (step 0) and the reference policy, at 0, met at
        the same held-out prompts. They are rated together, so that arms with the same start begin at the same Elo.
        `snapshot_elo_change.{axis}.{arm}` is the last snapshot's lead over the start, at the same resampled prompts. A
        referee that is a model of the training marks the names, as it does those of `rate_policies`.
        """
        policies = sorted({*head_to_heads["policy_a"], *head_to_heads["policy_b"]})
        snapshots = [policy for policy in policies if _STEP in policy]
        metrics: Metrics = {}
        for (axis,), part in head_to_heads.groupby(["criterion"], sort=True):
            mark = mark_of(referee_metrics, axis)
            name = f"snapshot_elo{mark}.{axis}"
            rated = linked(part, reference, name)
            if rated.empty:
                continue
            fitted = fit_ratings(rated, reference, params.n_bootstrap, derive_seed(seed, name))
            for arm, start in starts.items():
                steps = {0: start} | {step_of(policy): policy for policy in snapshots if arm_name(policy) == arm}
                known = {step: steps[step] for step in sorted(steps) if steps[step] in fitted.policies}
                metrics |= {f"{name}.{arm}.step_{k}": fitted.above_reference(policy) for k, policy in known.items()}
                if 0 in known and max(known) > 0:
                    change = fitted.above(known[max(known)], known[0])
                    metrics[f"snapshot_elo_change{mark}.{axis}.{arm}"] = change
        return metrics

    rate.__name__ = "rate_snapshots"
    return rate


def arm_name(policy: str) -> str:
    """Return the arm of a snapshot named `{arm}_step_{k}`."""
    return policy.rpartition(_STEP)[0]


def step_of(policy: str) -> int:
    """Return the step of a snapshot named `{arm}_step_{k}`."""
    return int(policy.rpartition(_STEP)[2])
