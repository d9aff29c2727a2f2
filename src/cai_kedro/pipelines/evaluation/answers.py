"""Every policy answers the same held-out prompts; the judge rates the answers."""

import logging
from collections.abc import Callable

import pandas as pd

from cai_kedro.core.asks import Reply
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.judging import Judge
from cai_kedro.core.seeding import derive_seed
from cai_kedro.core.shards import Outcome, ShardParams, ShardPlan, settle
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.engines.fitting import TOO_LONG, generate_fitting
from cai_kedro.pipelines.evaluation.params import EvaluationParams
from cai_kedro.templates.selection import choose
from cai_kedro.templates.shards import plan_shards

logger = logging.getLogger(__name__)

#: Stands for an empty answer, which is an answer too: leaving it out would spare a policy its worst ones.
NO_ANSWER = "…"


def gather_eval_prompts(
    red_team_prompts: pd.DataFrame, helpful_prompts: pd.DataFrame, params: EvaluationParams, seed: int
) -> pd.DataFrame:
    """Choose the prompts that all policies answer (two `prompts` → `prompts`), red-team prompts first."""
    chosen = pd.concat(
        [
            choose(red_team_prompts, params.prompts.harmlessness, seed, "evaluation"),
            choose(helpful_prompts, params.prompts.helpfulness, seed, "evaluation"),
        ],
        ignore_index=True,
    )
    doubles = chosen["prompt_id"][chosen["prompt_id"].duplicated()].tolist()
    if doubles:
        raise ValueError(
            f"{len(doubles)} prompt ids stand in both eval_red_team_prompts and eval_helpful_prompts, such as "
            f"{doubles[0]!r}: results are kept by prompt id, so rename them in one of the two"
        )
    return chosen


def answer_as(
    policy: str,
) -> Callable[[pd.DataFrame, TextEngine, EvaluationParams, int, ShardParams], ShardPlan]:
    """Return the node function that plans the answers of one policy, shard by shard."""

    def plan_answers(
        prompts: pd.DataFrame, engine: TextEngine, params: EvaluationParams, seed: int, shards: ShardParams
    ) -> ShardPlan:
        """Answer every prompt once (`prompts` → `responses`). All policies draw with the same random numbers."""
        return plan_shards(
            prompts[["prompt_id", "messages"]],
            lambda part: answer(policy, part, engine, params.sampling, seed),
            shards,
            id_columns=["prompt_id"],
            engine=engine,
            decided_by={"policy": policy, "sampling": params.sampling, "seed": seed},
            kind="responses",
        )

    plan_answers.__name__ = f"answer_as_{policy}"
    return plan_answers


def answer(policy: str, prompts: pd.DataFrame, engine: TextEngine, sampling: Sampling, seed: int) -> Outcome:
    """Let a policy answer every prompt once (`prompts` → `responses`); what is too long goes to quarantine."""
    said = generate_fitting(
        engine,
        [Reply(as_messages(cell)) for cell in prompts["messages"]],
        sampling,
        [derive_seed(seed, "evaluation", prompt_id, 0) for prompt_id in prompts["prompt_id"]],
    )
    texts = [completion.text.strip() if completion else "" for completion in said]
    answered = pd.DataFrame(
        {
            "prompt_id": prompts["prompt_id"].to_numpy(),
            "sample": 0,
            "policy": policy,
            "response": [text or NO_ANSWER for text in texts],
            "trouble": pd.Series([None if completion else TOO_LONG for completion in said], dtype=object),
        }
    )
    return settle(answered, ["prompt_id"])


def gather_responses(*responses: pd.DataFrame) -> pd.DataFrame:
    """Put the answers of all policies into one table (`responses` each → `responses`)."""
    return pd.concat(responses, ignore_index=True)


def judge_responses(
    responses: pd.DataFrame, red_team_prompts: pd.DataFrame, helpful_prompts: pd.DataFrame, judge: Judge
) -> pd.DataFrame:
    """Rate every answer (`responses` → `judgements`): of harmlessness at red-team prompts, of helpfulness else."""
    return judged(with_objectives(responses, red_team_prompts, helpful_prompts), judge)


def with_objectives(
    responses: pd.DataFrame, red_team_prompts: pd.DataFrame, helpful_prompts: pd.DataFrame
) -> pd.DataFrame:
    """Put the prompt and its `objective` beside every answer: harmlessness at red-team prompts, helpfulness else."""
    prompts = pd.concat(
        [red_team_prompts.assign(objective="harmlessness"), helpful_prompts.assign(objective="helpfulness")]
    )
    return responses.merge(prompts, on="prompt_id", how="left", validate="many_to_one", sort=False)


def judged(table: pd.DataFrame, judge: Judge) -> pd.DataFrame:
    """Rate answers that stand next to their `messages`, `objective` and `split` (→ `judgements`)."""
    said = [judge.judge(as_messages(row.messages), str(row.response)) for row in table.itertuples()]
    return pd.DataFrame(
        {
            **{name: table[name].to_numpy() for name in ("policy", "prompt_id", "sample", "objective", "split")},
            "category": [judgement.category for judgement in said],
            "response": table["response"].to_numpy(),
            "behaviour": [judgement.behaviour for judgement in said],
            "harmlessness": [float(judgement.harmlessness) for judgement in said],
            "helpfulness": [float(judgement.helpfulness) for judgement in said],
        }
    )
