"""Two answers of one policy to the same prompt, for a rater to compare."""

import logging
from dataclasses import replace
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.core.conversation import as_messages
from cai_kedro.core.seeding import rng_for
from cai_kedro.core.shards import Outcome, ShardParams, ShardPlan
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.templates.responses import ResponseParams, plan_responses, sample_responses
from cai_kedro.templates.similarity import most_similar, word_vectors

logger = logging.getLogger(__name__)

_COLUMNS = ["pair_id", "prompt_id", "messages", "response_a", "response_b", "kind"]


class MismatchParams(BaseModel):
    """Which pairs get an answer that was given to another prompt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float = Field(ge=0, le=1, description="share of the pairs")
    neighbours: int = Field(ge=1, description="the answer comes from one of so many most similar other prompts")


class PairSampling(BaseModel):
    """How pairs are drawn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompts: int | None = Field(ge=1, description="how many prompts are answered; null for all")
    pairs_per_prompt: int = Field(ge=1)
    mismatched: MismatchParams
    sampling: Sampling

    def by(self, policy: str) -> "PairParams":
        """Return how pairs of a policy's answers are drawn; the lineage says which policy, not the parameters."""
        return PairParams(policy=policy, **dict(self))


class PairParams(PairSampling):
    """Whose answers they are, beside that."""

    policy: str = Field(min_length=1)


def sample_pairs(prompts: pd.DataFrame, engine: TextEngine, params: PairParams, seed: int) -> Outcome:
    """Draw pairs of answers (`prompts` → `pairs`; §4.1). Identical answers are not a pair and are dropped.

    In a share of the pairs (kind `mismatched`) one answer is replaced by one that the same policy gave to a similar
    prompt. Both answers of a policy are usually to the point; without such pairs a preference model never learns that
    answering something else is worse, and RL finds that out. Who is better stays with the raters.

    In quarantine are single answers; what was to be their pair is dropped.
    """
    answers, quarantine = sample_responses(prompts, engine, _twice(params), seed)
    return Outcome(pair_up(prompts, answers, params, seed), quarantine)


def plan_pairs(
    prompts: pd.DataFrame, engine: TextEngine, params: PairParams, seed: int, shards: ShardParams
) -> ShardPlan:
    """Plan what `sample_pairs` does: shards hold answers, the pairs are made of all of them together."""
    answers = plan_responses(prompts, engine, _twice(params), seed, shards)
    return replace(answers, finish=lambda rows: pair_up(prompts, rows, params, seed))


def plan_pairs_by(
    prompts: pd.DataFrame, engine: TextEngine, params: PairSampling, seed: int, shards: ShardParams, policy: str
) -> ShardPlan:
    """Plan pairs of a policy's answers; its name is fixed at wiring."""
    return plan_pairs(prompts, engine, params.by(policy), seed, shards)


def pair_up(prompts: pd.DataFrame, answers: pd.DataFrame, params: PairParams, seed: int) -> pd.DataFrame:
    """Make pairs of answers (`prompts`, `responses` → `pairs`)."""
    pairs = _mismatch(_side_by_side(prompts, answers, params.policy), params.mismatched, seed)
    different = pairs[pairs["response_a"] != pairs["response_b"]].reset_index(drop=True)
    logger.info("%s: %d pairs, %d identical ones dropped", params.policy, len(different), len(pairs) - len(different))
    return different


def _twice(params: PairParams) -> ResponseParams:
    return ResponseParams(
        policy=params.policy, prompts=params.prompts, samples=2 * params.pairs_per_prompt, sampling=params.sampling
    )


def _side_by_side(prompts: pd.DataFrame, answers: pd.DataFrame, policy: str) -> pd.DataFrame:
    """Put the samples 2k and 2k+1 of a prompt side by side, where neither is empty."""
    numbered = answers.assign(pair=answers["sample"] // 2, side=(answers["sample"] % 2).map({0: "a", 1: "b"}))
    wide = numbered.pivot(index=["prompt_id", "pair"], columns="side", values="response")
    wide = wide.reindex(columns=["a", "b"]).dropna().reset_index()
    wide = prompts[["prompt_id", "messages"]].merge(wide, on="prompt_id", how="inner")
    ids = [f"{row.prompt_id}.{policy}.{row.pair}" for row in wide.itertuples()]
    pairs = wide.rename(columns={"a": "response_a", "b": "response_b"}).assign(pair_id=ids, kind="sampled")
    return pairs[_COLUMNS]


def _mismatch(pairs: pd.DataFrame, params: MismatchParams, seed: int) -> pd.DataFrame:
    """Replace one answer of a seeded share of the pairs; the side is drawn.

    The draws belong to the pair. Which prompts are similar depends on the table: a prompt that is added may become
    the source of an old pair's other answer.
    """
    prompts = pairs.drop_duplicates("prompt_id").reset_index(drop=True)
    places = {prompt_id: place for place, prompt_id in enumerate(prompts["prompt_id"])}
    vectors = word_vectors([_asked(cell) for cell in prompts["messages"]])
    answers = [[row.response_a, row.response_b] for row in prompts.itertuples()]

    def replaced(pair: dict[Any, Any]) -> dict[Any, Any]:
        rng = rng_for(seed, "mismatch", pair["pair_id"])
        if rng.random() >= params.share:
            return pair
        side = rng.choice(["response_a", "response_b"])
        own = (pair["response_a"], pair["response_b"])
        nearest = most_similar(vectors, places[pair["prompt_id"]], params.neighbours)
        fitting = [answer for place in nearest for answer in answers[place] if answer not in own]
        return {**pair, side: rng.choice(fitting), "kind": "mismatched"} if fitting else pair

    return pd.DataFrame([replaced(pair) for pair in pairs.to_dict("records")], columns=_COLUMNS)


def _asked(cell: Any) -> str:
    """Return what the human said, all turns: a pronoun in the last one has its noun in the first."""
    return " ".join(turn["content"] for turn in as_messages(cell) if turn["role"] == "user")
