"""Judges and a preference model on comparisons whose better answer is known."""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd

from cai_kedro.core.asks import Plain, Worked
from cai_kedro.core.constitution import Constitution, draw_comparison_few_shots, draw_cot_few_shots
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.seeding import derive_seed, rng_for
from cai_kedro.engines.base import TextEngine, fitting
from cai_kedro.engines.fitting import logprobs_fitting
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.engines.sampling import context_length
from cai_kedro.judging.comparer import Case, Preferences, Thinking, compare, compare_with_thoughts, orders
from cai_kedro.learning.encoding import encode_answers
from cai_kedro.learning.preference import check_preference_model, score_token_ids
from cai_kedro.pipelines.judge_accuracy.params import JudgeAccuracyParams
from cai_kedro.templates.selection import choose

logger = logging.getLogger(__name__)

COLUMNS = ["method", "line", "item_id", "sample", "margin", "margin_one_order", "thoughts"]

#: Tokens that the question behind the thoughts and its answer may take.
_ANSWER_ROOM = 32


def judge_items(
    items: pd.DataFrame, constitution: Constitution, engine: TextEngine, params: JudgeAccuracyParams, seed: int
) -> pd.DataFrame:
    """Ask a judge which answer is better (items → margins, method `judge`).

    `margin` is P(better) - 1/2, averaged over both option orders; `margin_one_order` that of the file's order. A prompt
    that is kept as it stands is asked once: its margin is half of max P(correct) - max P(incorrect), which is the same
    for two options; P is normalised over all options of the item.
    """
    chosen = choose(items, params.items, seed, "judge accuracy", by="item_id")
    laid_out, as_they_stand = _by_form(chosen)
    tables = []
    if len(laid_out):
        tables.append(_judge_laid_out(laid_out, constitution, engine, params, seed))
    if len(as_they_stand):
        tables.append(_judge_as_they_stand(as_they_stand, engine, len(chosen)))
    return pd.concat(tables).sort_values("line", kind="stable", ignore_index=True)


def _judge_laid_out(
    items: pd.DataFrame, constitution: Constitution, engine: TextEngine, params: JudgeAccuracyParams, seed: int
) -> pd.DataFrame:
    few_shots = [
        draw_comparison_few_shots(
            constitution.few_shots.comparisons,
            constitution.preference_principles,
            params.few_shots,
            rng_for(seed, "judge accuracy few-shots", item_id),
        )
        for item_id in items["item_id"]
    ]
    cases = _cases(items, params.question, few_shots)
    return _margins("judge", items, compare(engine, cases, both_orders=params.both_orders))


def _judge_as_they_stand(items: pd.DataFrame, engine: TextEngine, total: int) -> pd.DataFrame:
    """Read the options of each prompt; those of the same options together."""
    options = [
        (*corrects, *incorrects) for corrects, incorrects in zip(items["corrects"], items["incorrects"], strict=True)
    ]
    n_correct = items["corrects"].map(len).to_numpy()
    logger.warning(
        "%d of %d comparisons are not two options in the paper's layout: they are asked as they stand, in one order, "
        "and judge_cot, preference_model, longer and always_a leave them out; %.3f of them would be right by chance",
        len(items),
        total,
        np.mean([n / len(of_item) for n, of_item in zip(n_correct, options, strict=True)]),
    )
    margins = np.full(len(items), np.nan)
    prompts = items["prompt"].to_numpy()
    # the options in one order, whichever of them are correct, so that all items with the same letters are read together
    for shown in sorted({tuple(sorted(of_item)) for of_item in options}):
        places = [place for place, of_item in enumerate(options) if tuple(sorted(of_item)) == shown]
        logprobs = logprobs_fitting(engine, [Plain(prompts[place], shown) for place in places])
        likelier = np.exp(logprobs - logprobs.max(axis=1, keepdims=True))
        p = likelier / likelier.sum(axis=1, keepdims=True)
        for place, of_item in zip(places, p, strict=True):
            correct = np.isin(shown, options[place][: n_correct[place]])
            margins[place] = (of_item[correct].max() - of_item[~correct].max()) / 2
    fits = ~np.isnan(margins)
    return _table("judge", _kept(items, fits, "the judge"), margins[fits], margins[fits])


def judge_items_with_cot(
    items: pd.DataFrame, constitution: Constitution, engine: TextEngine, params: JudgeAccuracyParams, seed: int
) -> pd.DataFrame:
    """Let the judge think first, `cot.samples` times (items → margins, method `judge_cot`, one row per sample)."""
    chosen = choose(items, params.items, seed, "judge accuracy", by="item_id")
    chosen, _ = _by_form(chosen[~chosen["item_id"].isin(params.cot.leave_out)])
    if chosen.empty:
        return _table("judge_cot", chosen, np.array([]))
    few_shots = [
        draw_cot_few_shots(
            constitution.few_shots.cots,
            constitution.preference_principles,
            params.cot.few_shots,
            rng_for(seed, "judge accuracy cot few-shots", item_id),
        )
        for item_id in chosen["item_id"]
    ]
    kept, cases = _with_room(chosen, _cases(chosen, params.question, few_shots), engine, params)
    ids = list(kept["item_id"])

    def seed_of(case: int, order: int, chain: int) -> int:
        return derive_seed(seed, "judge accuracy thoughts", ids[case], order, chain)

    thinking = Thinking(params.cot.samples, params.cot.sampling, seed_of)
    reasoned = compare_with_thoughts(engine, cases, thinking, both_orders=params.both_orders)
    tables = []
    for chain in range(params.cot.samples):
        texts = {line: "\n\n".join(reasoned.texts(case, [chain])) for case, line in enumerate(kept["line"])}
        margins = _margins("judge_cot", kept, reasoned.after_chain(chain), chain)
        tables.append(margins.assign(thoughts=margins["line"].map(texts)))
    return pd.concat(tables, ignore_index=True)


def score_items(
    items: pd.DataFrame, preference_model: LanguageModel, params: JudgeAccuracyParams, seed: int
) -> pd.DataFrame:
    """Score both answers (items → margins, method `preference_model`): `margin` is r(better) - r(worse), log-odds.

    Raises `ValueError` for a model that is no preference model or that came with another model's tokenizer.
    """
    check_preference_model(preference_model)
    chosen, _ = _by_form(choose(items, params.items, seed, "judge accuracy", by="item_id"))
    if chosen.empty:
        return _table("preference_model", chosen, np.array([]))
    conversations = [as_messages(cell) for cell in chosen["messages"]]
    limit = context_length(preference_model.model)
    encoded = [
        [answer.ids for answer in encode_answers(preference_model, conversations, chosen[side].tolist())]
        for side in ("better", "worse")
    ]
    fits = np.array([limit is None or max(map(len, both)) <= limit for both in zip(*encoded, strict=True)], dtype=bool)
    kept = _kept(chosen, fits, "the preference model")
    pad = preference_model.tokenizer.pad_token_id
    scores = [
        score_token_ids(
            preference_model.model, [ids for ids, fit in zip(side, fits, strict=True) if fit], pad, params.batch_size
        )
        for side in encoded
    ]
    return _table("preference_model", kept, (scores[0] - scores[1]).numpy().astype(float))


def _by_form(items: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Part the items that were taken apart from the prompts that are kept as they stand."""
    kept = items["prompt"].notna()
    return items[~kept].reset_index(drop=True), items[kept].reset_index(drop=True)


def _cases(items: pd.DataFrame, question: str, few_shots: Sequence[Sequence[Worked]]) -> list[Case]:
    """Return each item as a case whose A is the file's first option."""
    cases = []
    for row, examples in zip(items.itertuples(), few_shots, strict=True):
        a, b = (row.better, row.worse) if row.letter == "A" else (row.worse, row.better)
        asked = row.question if isinstance(row.question, str) else question
        cases.append(Case(as_messages(row.messages), a, b, asked, examples))
    return cases


def _with_room(
    items: pd.DataFrame, cases: Sequence[Case], engine: TextEngine, params: JudgeAccuracyParams
) -> tuple[pd.DataFrame, list[Case]]:
    """Leave out items that leave no room for all thoughts and the answer in one of the orders."""
    room = params.cot.sampling.max_new_tokens + _ANSWER_ROOM
    asked = [[case.thoughts(swapped) for case in cases] for swapped in orders(params.both_orders)]
    fits = np.all([fitting(engine, asks, room) for asks in asked], axis=0)
    kept = _kept(items, fits, "the judge")
    return kept, [case for case, fit in zip(cases, fits, strict=True) if fit]


def _kept(items: pd.DataFrame, fits: np.ndarray, whose: str) -> pd.DataFrame:
    if not fits.any():
        raise ValueError(f"none of the {len(items)} comparisons fits into the context of {whose}; take a longer one")
    if not fits.all():
        lines = items.loc[~fits, "line"].tolist()
        logger.warning(
            "%d of %d comparisons do not fit into the context of %s and are left out, such as line %d",
            len(lines),
            len(items),
            whose,
            lines[0],
        )
    return items[fits].reset_index(drop=True)


def _margins(method: str, items: pd.DataFrame, preferences: Preferences, sample: int = 0) -> pd.DataFrame:
    """Turn preferences for the file's first option into margins of the better answer; what was too long is left out."""
    sign = np.where(items["letter"] == "A", 1.0, -1.0)
    one_order = sign * (preferences.a_first - 0.5)
    margin = sign * (preferences.a_better - 0.5)
    read = ~np.isnan(margin)
    return _table(method, _kept(items, read, "the judge"), margin[read], one_order[read], sample)


def _table(
    method: str, items: pd.DataFrame, margin: np.ndarray, one_order: np.ndarray | None = None, sample: int = 0
) -> pd.DataFrame:
    table = items[["line", "item_id"]].assign(
        method=method,
        sample=sample,
        margin=margin,
        margin_one_order=np.nan if one_order is None else one_order,
        thoughts=None,
    )
    return table[COLUMNS]
