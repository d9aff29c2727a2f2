"""AI preference labels straight from the comparison."""

import logging

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.core.constitution import Constitution, draw_comparison_few_shots
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.prompts import comparison_prompt
from cai_kedro.core.seeding import rng_for
from cai_kedro.engines.base import TextEngine
from cai_kedro.engines.letters import p_first
from cai_kedro.pipelines.preference_labeling.options import in_orders, principles_of

logger = logging.getLogger(__name__)


class LabelParams(BaseModel):
    """How pairs are labelled."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    both_orders: bool = Field(description="average both option orders; false is the paper's single order")
    few_shots: int = Field(ge=0, description="how many worked comparisons stand in front")


def label_pairs(
    pairs: pd.DataFrame, constitution: Constitution, engine: TextEngine, params: LabelParams, seed: int
) -> pd.DataFrame:
    """Ask the feedback model which answer a principle prefers (`pairs` → `comparisons`, source `ai`; §4.1).

    One principle is drawn per pair. The label is the probability of the option letters, averaged over both orders.
    """
    principles = principles_of(pairs, constitution, seed)
    questions = [principle.question for principle in principles]
    few_shots = [
        draw_comparison_few_shots(
            constitution.few_shots.comparisons,
            constitution.preference_principles,
            params.few_shots,
            rng_for(seed, "comparison few-shots", pair_id),
        )
        for pair_id in pairs["pair_id"]
    ]
    conversations = [as_messages(cell) for cell in pairs["messages"]]

    def ask(first: str, second: str) -> np.ndarray:
        shown = zip(conversations, pairs[first], pairs[second], questions, few_shots, strict=True)
        return p_first(engine, [comparison_prompt(*parts) for parts in shown])

    labels = in_orders(pairs, params.both_orders, ask)
    logger.info("%d pairs labelled", len(pairs))
    return pairs.assign(
        objective="harmlessness",
        source="ai",
        principle_id=[principle.id for principle in principles],
        **labels,
        thoughts=None,
    )
