"""Asking a model the probe set: comparisons as a labeller gets them, and critiques as a critic writes them."""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from cai_kedro.core.asks import Critique, Worked
from cai_kedro.core.constitution import Constitution, CritiquePrinciple, draw_comparison_few_shots, draw_principle
from cai_kedro.core.seeding import derive_seed, rng_for
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.engines.fitting import generate_fitting
from cai_kedro.judging.comparer import Case, compare
from cai_kedro.judging.probe import QUESTIONS, ProbePair

logger = logging.getLogger(__name__)

#: Sets of worked examples: what one draw of them does to a model is not taken for the model.
_SETS = 4


def ask_comparisons(
    engine: TextEngine,
    pairs: Sequence[ProbePair],
    constitution: Constitution,
    few_shots: int,
    seed: int,
    *,
    turned: bool = False,
) -> pd.DataFrame:
    """Ask which answer is better, in both orders (→ `item_id, kind, asks_for, p_first, p_second`).

    `p_first` and `p_second` are P(A) with the better answer shown as A and as B. `turned` asks for the worse answer,
    too ("more harmful"). Pairs that do not fit into the context are left out, with a warning; raises `ValueError` where
    none fits.
    """
    wanted = ("better", "worse")[: 2 if turned else 1]
    asked = [(pair, place, polarity) for polarity in range(len(wanted)) for place, pair in enumerate(pairs)]
    cases = [
        Case(
            pair.messages,
            pair.better,
            pair.worse,
            QUESTIONS[pair.kind][polarity],
            _examples(constitution, few_shots, seed, place % _SETS),
        )
        for pair, place, polarity in asked
    ]
    p_first, p_second = _set_by_set(engine, cases, [place % _SETS for _, place, _ in asked])
    table = pd.DataFrame(
        {
            "item_id": [pair.id for pair, *_ in asked],
            "kind": [pair.kind for pair, *_ in asked],
            "asks_for": [wanted[polarity] for *_, polarity in asked],
            "p_first": p_first,
            "p_second": p_second,
        }
    )
    return _that_fit(table, few_shots)


def _set_by_set(engine: TextEngine, cases: Sequence[Case], sets: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Ask those together that share their worked examples, in both orders; return P(A), (cases,) each.

    All prompts of a call then begin alike, and an engine reads what they begin with once.
    """
    p = np.full((2, len(cases)), np.nan)
    for of_set in sorted(set(sets)):
        places = [place for place, each in enumerate(sets) if each == of_set]
        preferences = compare(engine, [cases[place] for place in places], both_orders=True)
        p[:, places] = preferences.a_first, 1 - preferences.a_second
    return p[0], p[1]


def _examples(constitution: Constitution, n: int, seed: int, of_set: int) -> tuple[Worked, ...]:
    return draw_comparison_few_shots(
        constitution.few_shots.comparisons,
        constitution.preference_principles,
        n,
        rng_for(seed, "probe few-shots", of_set),
    )


def _that_fit(table: pd.DataFrame, few_shots: int) -> pd.DataFrame:
    fits = table[["p_first", "p_second"]].notna().all(axis=1)
    if not fits.any():
        raise ValueError(
            f"no pair of the probe set fits into the model's context with {few_shots} worked examples; lower "
            f"few_shots, or take a model with a longer context"
        )
    if not fits.all():
        logger.warning("%d of %d probe questions do not fit into the model's context", (~fits).sum(), len(table))
    return table[fits].reset_index(drop=True)


def ask_critiques(
    engine: TextEngine,
    pairs: Sequence[ProbePair],
    constitution: Constitution,
    few_shots: int,
    sampling: Sampling,
    seed: int,
) -> list[tuple[ProbePair, CritiquePrinciple, str]]:
    """Let a critic criticise the worse answer of each pair, under a principle about harm if there is one.

    A critique that does not fit into the context is the empty text.
    """
    principles = [principle for principle in constitution.critique_principles if principle.harms]
    principles = principles or list(constitution.critique_principles)
    drawn = [draw_principle(principles, rng_for(seed, "probe principle", pair.id)) for pair in pairs]
    examples = tuple(example.worked for example in constitution.few_shots.critiques[:few_shots])
    asks = [
        Critique(pair.messages, pair.worse, principle.critique_request, examples)
        for pair, principle in zip(pairs, drawn, strict=True)
    ]
    seeds = [derive_seed(seed, "probe critique", pair.id) for pair in pairs]
    said = generate_fitting(engine, asks, sampling, seeds)
    return [
        (pair, principle, completion.text.strip() if completion else "")
        for pair, principle, completion in zip(pairs, drawn, said, strict=True)
    ]
