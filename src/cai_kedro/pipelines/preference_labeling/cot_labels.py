"""AI preference labels after a chain of thought."""

from typing import Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator

from cai_kedro.core.constitution import Constitution, draw_cot_few_shots
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.prompts import CHOICES, STOPS, cot_answer_prompt, cot_prompt
from cai_kedro.core.seeding import derive_seed, rng_for
from cai_kedro.core.shards import Outcome, ShardParams, ShardPlan, settle
from cai_kedro.core.worked_examples import CotShots
from cai_kedro.engines.base import Completion, Sampling, TextEngine
from cai_kedro.engines.fitting import generate_fitting, trouble_of
from cai_kedro.engines.letters import p_first
from cai_kedro.pipelines.preference_labeling.options import in_orders, principles_of, without_label
from cai_kedro.templates.shards import ANY_CONVERSATION, plan_shards


class CotLabelParams(BaseModel):
    """How pairs are labelled with chain of thought."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    both_orders: bool
    few_shots: CotShots
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
    engine: TextEngine,
    params: CotLabelParams,
    seed: int,
) -> Outcome:
    """Let the assistant think step by step before it compares (`pairs` → `comparisons`, source `ai_cot`; §4.1).

    Every chain of thought is followed by the log-probabilities of the two option letters. `p_a_better` is clamped,
    `p_a_first` and `p_a_second` are not. `thoughts` holds the chains of A first, then those of A second. A pair with an
    empty chain, or one over the context, goes to quarantine.
    """
    labelled, quarantine = _label(pairs, constitution, engine, params, seed)
    return Outcome(_clamped(labelled, params), quarantine)


def plan_cot_labels(
    pairs: pd.DataFrame,
    constitution: Constitution,
    engine: TextEngine,
    params: CotLabelParams,
    seed: int,
    shards: ShardParams,
) -> ShardPlan:
    """Plan what `label_pairs_with_cot` does; shards hold labels before the clamp."""
    return plan_shards(
        pairs,
        lambda part: _label(part, constitution, engine, params, seed),
        shards,
        id_columns=["pair_id"],
        engine=engine,
        decided_by={
            "params": params.model_dump(exclude={"clamp"}),
            "principles": list(constitution.preference_principles),
            "few_shots": list(constitution.few_shots.cots) if params.few_shots else [],
            "seed": seed,
            "layouts": _layouts(),
        },
        kind="comparisons",
        finish=lambda labelled: _clamped(labelled, params),
    )


def _layouts() -> list[str]:
    asked = cot_prompt(ANY_CONVERSATION, "{a}", "{b}", "{question}", ["{example}"])
    return [cot_answer_prompt(asked, "{thoughts}"), *STOPS, *CHOICES]


def _clamped(labelled: pd.DataFrame, params: CotLabelParams) -> pd.DataFrame:
    # §4.1: CoT labels are over-confident
    return labelled.assign(p_a_better=labelled["p_a_better"].clip(*params.clamp))


def _label(
    pairs: pd.DataFrame, constitution: Constitution, engine: TextEngine, params: CotLabelParams, seed: int
) -> Outcome:
    principles = principles_of(pairs, constitution, seed)
    questions = [principle.question for principle in principles]
    thoughts: list[list[str]] = [[] for _ in range(len(pairs))]
    troubles: list[str | None] = [None] * len(pairs)

    def ask(first: str, second: str) -> np.ndarray:
        """Return P(first option), the mean of all chains of thought: (pairs,)."""
        shown = pairs.assign(first=pairs[first], second=pairs[second], question=questions)
        asked = _prompts(shown, constitution, params.few_shots, seed)
        probabilities = []
        for n in range(params.samples):
            said = _think(engine, asked, pairs, params, seed, first, n)
            texts = [completion.text.strip() if completion else "" for completion in said]
            for i, completion in enumerate(said):
                thoughts[i].append(texts[i])
                troubles[i] = troubles[i] or trouble_of(completion)
            probabilities.append(_answer(engine, asked, texts, troubles))
        return np.mean(probabilities, axis=0)

    labels = in_orders(pairs, params.both_orders, lambda orders: [ask(*order) for order in orders])
    labelled = pairs.assign(
        objective="harmlessness",
        source="ai_cot",
        principle_id=[principle.id for principle in principles],
        **labels,
        thoughts=["\n\n".join(texts) for texts in thoughts],
        trouble=pd.Series(troubles, index=pairs.index, dtype=object).fillna(without_label(labels)),
    )
    return settle(labelled, ["pair_id"])


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
) -> list[Completion | None]:
    seeds = [derive_seed(seed, "thoughts", pair_id, first, sample) for pair_id in pairs["pair_id"]]
    return generate_fitting(engine, asked, params.sampling, seeds, STOPS)


def _answer(engine: TextEngine, asked: list[str], thoughts: list[str], troubles: list[str | None]) -> np.ndarray:
    """Return P(first option) after the thoughts, NaN for a pair in trouble: (pairs,)."""
    places = [i for i, trouble in enumerate(troubles) if trouble is None]
    answered = p_first(engine, [cot_answer_prompt(asked[i], thoughts[i]) for i in places])
    p = np.full(len(asked), np.nan, dtype=answered.dtype)
    p[places] = answered
    return p
