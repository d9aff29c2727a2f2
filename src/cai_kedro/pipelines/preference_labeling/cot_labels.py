"""AI preference labels after a chain of thought."""

import logging
from typing import Literal, Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from cai_kedro.core.constitution import Constitution, draw_cot_few_shots
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.prompts import STOPS, cot_answer_prompt, cot_prompt
from cai_kedro.core.seeding import derive_seed, rng_for
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.engines.letters import p_first
from cai_kedro.pipelines.preference_labeling.options import in_orders, principles_of

logger = logging.getLogger(__name__)


class CotLabelParams(BaseModel):
    """How pairs are labelled with chain of thought."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    thinker: Literal["pretrained", "helpful_rlhf"] = Field(description="who thinks and answers")
    both_orders: bool
    few_shots: int = Field(ge=0)
    samples: int = Field(ge=1, description="chains of thought per option order, averaged as probabilities")
    clamp: tuple[float, float] = Field(description="bounds of the label")
    sampling: Sampling

    @model_validator(mode="after")
    def _clamp_is_an_interval(self) -> Self:
        low, high = self.clamp
        if not 0 <= low < high <= 1:
            raise ValueError(f"clamp must satisfy 0 <= low < high <= 1, got {low=}, {high=}")
        return self


def label_pairs_with_cot(
    pairs: pd.DataFrame,
    constitution: Constitution,
    pretrained: TextEngine,
    helpful_rlhf: TextEngine,
    params: CotLabelParams,
    seed: int,
) -> pd.DataFrame:
    """Let the assistant think step by step before it compares (`pairs` → `comparisons`, source `ai_cot`; §4.1).

    Every chain of thought is followed by the log-probabilities of the two option letters. `p_a_better` is clamped,
    `p_a_first` and `p_a_second` are not. `thoughts` holds the chains of A first, then those of A second.
    """
    engine = {"pretrained": pretrained, "helpful_rlhf": helpful_rlhf}[params.thinker]
    principles = principles_of(pairs, constitution, seed)
    questions = [principle.question for principle in principles]
    thoughts: list[list[str]] = [[] for _ in range(len(pairs))]

    def ask(first: str, second: str) -> np.ndarray:
        shown = pairs.assign(first=pairs[first], second=pairs[second], question=questions)
        asked = _prompts(shown, constitution, params.few_shots, seed)
        chains = [_think(engine, asked, pairs, params, seed, first, n) for n in range(params.samples)]
        for of_pair, texts in zip(thoughts, zip(*chains, strict=True), strict=True):
            of_pair.extend(texts)
        return np.mean([_answer(engine, asked, texts) for texts in chains], axis=0)

    labels = in_orders(pairs, params.both_orders, ask)
    logger.info("%d pairs labelled with %d chains of thought", len(pairs), sum(map(len, thoughts)))
    return pairs.assign(
        objective="harmlessness",
        source="ai_cot",
        principle_id=[principle.id for principle in principles],
        **labels.assign(p_a_better=labels["p_a_better"].clip(*params.clamp)),  # §4.1: CoT labels are over-confident
        thoughts=["\n\n".join(texts) for texts in thoughts],
    )


def _prompts(shown: pd.DataFrame, constitution: Constitution, n_few_shots: int, seed: int) -> list[str]:
    """Write the prompt of each pair, whose columns `first`, `second` and `question` say what is shown."""
    asked = []
    for row in shown.itertuples():
        few_shots = draw_cot_few_shots(
            constitution.few_shots.cots,
            constitution.preference_principles,
            n_few_shots,
            rng_for(seed, "cot few-shots", row.pair_id),
        )
        asked.append(cot_prompt(as_messages(row.messages), row.first, row.second, row.question, few_shots))
    return asked


def _think(
    engine: TextEngine,
    asked: list[str],
    pairs: pd.DataFrame,
    params: CotLabelParams,
    seed: int,
    first: str,
    sample: int,
) -> list[str]:
    seeds = [derive_seed(seed, "thoughts", pair_id, first, sample) for pair_id in pairs["pair_id"]]
    return [done.text.strip() for done in engine.generate(asked, params.sampling, seeds, STOPS)]


def _answer(engine: TextEngine, asked: list[str], thoughts: tuple[str, ...] | list[str]) -> np.ndarray:
    return p_first(engine, [cot_answer_prompt(prompt, text) for prompt, text in zip(asked, thoughts, strict=True)])
