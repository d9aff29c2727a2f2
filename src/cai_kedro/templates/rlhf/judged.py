"""What an arm needs that the labeller rewards: a reference reply to every prompt, and the question about it."""

import logging
from collections.abc import Mapping, Sequence

import pandas as pd

from cai_kedro.core.constitution import Constitution, PreferencePrinciple, draw_comparison_few_shots, draw_principle
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.seeding import derive_seed, rng_for
from cai_kedro.core.shards import ShardParams, ShardPlan
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.judging.comparer import Case
from cai_kedro.judging.reward import LabellerReward
from cai_kedro.learning.rl_params import AlgorithmParams
from cai_kedro.metrics.estimate import Estimate
from cai_kedro.templates.responses import ResponseParams, plan_responses
from cai_kedro.templates.rlhf.parameters import ArmParams, JudgeParams, RLHFParams, parameters_of

logger = logging.getLogger(__name__)


def plan_references(
    prompts: pd.DataFrame,
    engine: TextEngine,
    shared: RLHFParams,
    seed: int,
    shards: ShardParams,
    arm: ArmParams,
    policy: str,
) -> ShardPlan:
    """Plan the start policy's own reply to every prompt of RL, drawn once as RL draws (`prompts` → `responses`)."""
    params = reference_params(policy, parameters_of(arm, shared).rl)
    return plan_responses(prompts, engine, params, derive_seed(seed, "reference"), shards)


def reference_params(policy: str, rl: AlgorithmParams) -> ResponseParams:
    """Return how the references of a policy are drawn."""
    sampling = Sampling(temperature=rl.temperature, top_p=1.0, max_new_tokens=rl.max_new_tokens)
    return ResponseParams(policy=policy, prompts=None, samples=1, sampling=sampling)


def pose_questions(
    prompts: pd.DataFrame,
    references: pd.DataFrame,
    helpful_prompts: pd.DataFrame,
    constitution: Constitution,
    arm: ArmParams,
    seed: int,
    check: Mapping[str, Estimate] | None = None,
) -> pd.DataFrame:
    """Draw the principle under which replies to a prompt are compared with its reference (→ `questions`; §4.1).

    `prompts` and `helpful_prompts` are of kind `prompts`, `references` of kind `responses`. One principle is drawn per
    prompt, for all of the training, as one is per pair for labels. Helpful prompts are judged under the constitution's
    helpfulness principles; where it has none, under the same as red-team prompts. Prompts without a reference, because
    it came out empty or did not fit, are left out with a warning. Where the labeller is checked, this is after `check`.
    """
    there = prompts["prompt_id"].isin(references["prompt_id"])
    if not there.all():
        example = prompts["prompt_id"][~there].iloc[0]
        logger.warning(
            "%s: %d of %d prompts have no reference reply, such as %r: left out",
            arm.name, (~there).sum(), len(prompts), example,
        )  # fmt: skip
    asked = prompts[there].reset_index(drop=True)
    helpful = asked["prompt_id"].isin(helpful_prompts["prompt_id"])
    objectives = list(helpful.map({True: "helpfulness", False: "harmlessness"}))
    return pd.DataFrame(
        {
            "prompt_id": asked["prompt_id"],
            "messages": asked["messages"],
            "reference": asked["prompt_id"].map(references.set_index("prompt_id")["response"]),
            "objective": objectives,
            "principle_id": [
                draw_principle(_principles(constitution, objective), rng_for(seed, "preference", prompt_id)).id
                for prompt_id, objective in zip(asked["prompt_id"], objectives, strict=True)
            ],
        }
    )


def labeller_reward(
    questions: pd.DataFrame, constitution: Constitution, labeller: TextEngine, params: JudgeParams, seed: int
) -> LabellerReward:
    """Return the reward of replies to these prompts (`questions`)."""
    texts = {
        objective: {principle.id: principle.question for principle in _principles(constitution, objective)}
        for objective in ("harmlessness", "helpfulness")
    }
    cases = {
        str(row.prompt_id): Case(
            as_messages(row.messages),
            "",
            str(row.reference),
            texts[str(row.objective)][row.principle_id],
            draw_comparison_few_shots(
                constitution.few_shots.comparisons,
                constitution.preference_principles,
                params.few_shots,
                rng_for(seed, "comparison few-shots", str(row.prompt_id)),
            ),
        )
        for row in questions.itertuples()
    }
    return LabellerReward(labeller, cases, params.max_log_odds)


def _principles(constitution: Constitution, objective: str) -> Sequence[PreferencePrinciple]:
    of_helpfulness = constitution.helpfulness_principles if objective == "helpfulness" else ()
    return of_helpfulness or constitution.preference_principles
