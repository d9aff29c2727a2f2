"""Tests that are hard for labels and preference models: pairs of the policies' own answers (§2, F4).

The judge's test pairs (`labels.py`) have an objection or right advice on one side, which is easily told. Here two
policies answered the same held-out prompt. Kinds of pairs: any (`sampled`), of like rating (`near`), and without an
ideal answer (`none_ideal`).
"""

import logging
import math
from collections.abc import Callable, Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from cai_kedro.core.axes import Axes
from cai_kedro.core.conversation import Conversation, as_messages
from cai_kedro.core.judging import Judge, KnownNoise
from cai_kedro.core.schemas import PAIR_COLUMNS
from cai_kedro.core.seeding import rng_for
from cai_kedro.metrics.estimate import bounded_mean
from cai_kedro.pipelines.evaluation.params import EvaluationParams, HardTestParams
from cai_kedro.pipelines.evaluation.ratings import ALL_SPLITS, Metrics
from cai_kedro.templates.selection import choose

logger = logging.getLogger(__name__)

SAMPLED, NEAR, NONE_IDEAL = "sampled", "near", "none_ideal"
KINDS = (SAMPLED, NEAR, NONE_IDEAL)
#: Who chooses by labels, beside the arms, whose preference models do.
LABELS = "ai"
CHANCE = 0.5

_ROUNDING = 1e-9  # 1.1 - 0.6 is a little more than 0.5

_CASE = ["pair_id", "prompt_id", "messages", "objective", "split", "better", "worse", "p_better", *KINDS]
_CELL = ["chooser", "objective", "kind", "split", "value", "low", "high", "n", "chance", "ceiling", "right"]


def draw_hard_cases(
    judgements: pd.DataFrame, policy_prompts: pd.DataFrame, judge: Judge, params: EvaluationParams, seed: int
) -> pd.DataFrame:
    """Pair answers of two policies to the same prompt that the judge rates differently (`judgements`, `prompts` → …).

    Of each kind one pair a prompt and axis, at most `hard_tests.pairs` an axis and split. Columns: `pair_id`,
    `prompt_id`, `messages`, `objective`, `split`, `better`, `worse`, `p_better` (how probably a rater prefers the
    better one, NaN of a judge that does not know), and whether the pair is of a kind: `sampled`, `near`, `none_ideal`.
    """
    messages = dict(zip(policy_prompts["prompt_id"], map(as_messages, policy_prompts["messages"]), strict=True))
    rated = judgements[judgements["rating"].notna() & (judgements["sample"] == 0)]
    drawn: dict[str, dict[str, Any]] = {}
    for (axis, prompt_id), answers in rated.groupby(["axis", "prompt_id"], sort=True):
        for kind, pairs in _by_kind(answers, params.hard_tests).items():
            a, b = rng_for(seed, "hard tests", kind, axis, prompt_id).choice(pairs)
            case = _case(a, b, messages[str(prompt_id)], judge)
            if case is not None:
                drawn.setdefault(case["pair_id"], {**case, **dict.fromkeys(KINDS, False)})[kind] = True
    cases = pd.DataFrame(list(drawn.values()), columns=_CASE)
    if cases.empty:
        logger.warning("this judge rates no two answers of policies differently: there are no hard tests")
        return cases.astype(object)
    cases = _few_of_each(cases, params.hard_tests.pairs, seed)
    logger.info("hard tests: %d pairs, %s", len(cases), ", ".join(f"{cases[kind].sum()} {kind}" for kind in KINDS))
    return cases


def pairs_to_label(cases: pd.DataFrame, axes: Axes, seed: int) -> pd.DataFrame:
    """Return the hard pairs that the labeller is asked about, those of harm (→ `pairs`); which one is A is drawn."""
    asked = cases[cases["objective"] == axes.of_training("red_team")]
    a_is_better = [rng_for(seed, "hard tests", pair_id).random() < CHANCE for pair_id in asked["pair_id"]]
    sides = np.array(a_is_better, dtype=bool)
    return asked.assign(
        response_a=asked["better"].where(sides, asked["worse"]),
        response_b=asked["worse"].where(sides, asked["better"]),
        kind="sampled",
    )[PAIR_COLUMNS].reset_index(drop=True)


def measure_hard_tests_of(arms: tuple[str, ...]) -> Callable[..., tuple[pd.DataFrame, Metrics]]:
    """Return the node function that measures the preference models of these arms."""

    def measure_hard_tests(
        cases: pd.DataFrame, hard_comparisons: pd.DataFrame | None = None, **scores: pd.DataFrame
    ) -> tuple[pd.DataFrame, Metrics]:
        """Say how often labels and preference models choose as a rater does, cell by cell, and the main cells again.

        `scores` are those of the pairs by each arm's preference model. A cell is a chooser (`ai` for labels), axis,
        kind of pairs and split. `value` is the share of raters that the choice agrees with: `p_better` where the better
        answer is chosen, else the rest; `ceiling` is what nobody can exceed, the share that prefers the better answer,
        and `chance` a coin's. `right` is the share of better answers chosen. Where the judge does not know how sure
        raters are, the better answer counts as everybody's, and there is no ceiling. Metrics, over all splits:
        `hard_accuracy.{chooser}.{axis}.{kind}` and `hard_ceiling.{axis}.{kind}`.
        """
        choosers = {} if hard_comparisons is None else {LABELS: _margins_of_labels(cases, hard_comparisons)}
        choosers |= {arm: _margins_of_scores(scores[arm]) for arm in arms}
        rows = [
            {"chooser": chooser, "objective": objective, "kind": kind, "split": split, **_cell(part, margins)}
            for objective, kind, split, of in _cells(cases)
            for chooser, margins in choosers.items()
            if not (part := of[of["pair_id"].isin(margins.index)]).empty
        ]
        table = pd.DataFrame(rows, columns=_CELL)
        return table, _main(table, cases)

    return measure_hard_tests


def _by_kind(answers: pd.DataFrame, params: HardTestParams) -> dict[str, list[tuple[Any, Any]]]:
    """Return the pairs of each kind there is among the answers to one prompt."""
    ideal = params.ideal.get(str(answers["axis"].iloc[0]), ())
    ordered = answers.sort_values("policy").itertuples()
    different = [(a, b) for a, b in combinations(ordered, 2) if a.response != b.response and a.rating != b.rating]
    of = {
        SAMPLED: different,
        NEAR: [(a, b) for a, b in different if abs(a.rating - b.rating) <= params.near + _ROUNDING],
        NONE_IDEAL: [
            (a, b)
            for a, b in different
            if all(isinstance(each.behaviour, str) and each.behaviour not in ideal for each in (a, b))
        ],
    }
    return {kind: pairs for kind, pairs in of.items() if pairs}


def _case(a: Any, b: Any, messages: Conversation, judge: Judge) -> dict[str, Any] | None:
    """Return a pair with its better answer in front, None where raters prefer neither."""
    better, worse = (a, b) if a.rating > b.rating else (b, a)
    p = judge.p_prefer(messages, better.response, worse.response, a.axis) if isinstance(judge, KnownNoise) else None
    if p == CHANCE:
        return None
    if p is not None and p < CHANCE:  # raters may have likings that no rating tells
        better, worse, p = worse, better, 1 - p
    return {
        "pair_id": f"{a.prompt_id}.{a.axis}.{a.policy}.{b.policy}",
        "prompt_id": a.prompt_id,
        "messages": messages,
        "objective": a.axis,
        "split": a.split,
        "better": better.response,
        "worse": worse.response,
        "p_better": math.nan if p is None else p,
    }


def _few_of_each(cases: pd.DataFrame, limit: int, seed: int) -> pd.DataFrame:
    """Keep so many pairs of each kind, axis and split; a pair that two kinds keep stays one row."""
    kept = {
        kind: {
            pair_id
            for _, part in cases[cases[kind]].groupby(["objective", "split"], sort=True)
            for pair_id in choose(part, limit, seed, "hard tests", kind, by="pair_id")["pair_id"]
        }
        for kind in KINDS
    }
    table = cases.assign(**{kind: cases["pair_id"].isin(ids) for kind, ids in kept.items()})
    return table[table[list(KINDS)].any(axis=1)].reset_index(drop=True)


def _margins_of_scores(scores: pd.DataFrame) -> pd.Series:
    """Return the score of the better answer less that of the worse one, by pair."""
    wide = scores.pivot(index="prompt_id", columns="sample", values="score").reindex(columns=[0, 1])
    return wide[0] - wide[1]


def _margins_of_labels(cases: pd.DataFrame, comparisons: pd.DataFrame) -> pd.Series:
    """Return by how much a label is for the better answer, by pair."""
    better = comparisons["pair_id"].map(dict(zip(cases["pair_id"], cases["better"], strict=True)))
    sign = np.where(comparisons["response_a"] == better, 1.0, -1.0)
    return pd.Series(sign * (comparisons["p_a_better"].to_numpy(dtype=float) - CHANCE), index=comparisons["pair_id"])


def _cells(cases: pd.DataFrame) -> list[tuple[str, str, str, pd.DataFrame]]:
    """Return axis, kind and split of every cell, and its pairs; all splits first, and alone where there is but one."""
    cells = []
    for objective, of_axis in cases.groupby("objective", sort=True):
        for kind in KINDS:
            of_kind = of_axis[of_axis[kind].astype(bool)]
            splits = list(of_kind.groupby("split", sort=True))
            cells.append((str(objective), kind, ALL_SPLITS, of_kind))
            cells += [(str(objective), kind, str(split), part) for split, part in splits if len(splits) > 1]
    return cells


def _cell(pairs: pd.DataFrame, margins: Mapping[str, float]) -> dict[str, Any]:
    chosen = (np.sign(pairs["pair_id"].map(margins).to_numpy(dtype=float)) + 1) / 2  # a coin's where none is preferred
    sure = pairs["p_better"].to_numpy(dtype=float)
    p = np.where(np.isnan(sure), 1.0, sure)
    agree = chosen * p + (1 - chosen) * (1 - p)
    estimate = bounded_mean(agree, 0, 1, list(pairs["prompt_id"]))
    return {**estimate, "chance": CHANCE, "ceiling": float(sure.mean()), "right": float(chosen.mean())}


def _main(table: pd.DataFrame, cases: pd.DataFrame) -> Metrics:
    whole = table[table["split"] == ALL_SPLITS]
    metrics: Metrics = {
        f"hard_accuracy.{row.chooser}.{row.objective}.{row.kind}": {
            "value": float(row.value), "low": float(row.low), "high": float(row.high), "n": int(row.n),
        }
        for row in whole.itertuples()
    }  # fmt: skip
    for objective, kind, split, pairs in _cells(cases):
        if split == ALL_SPLITS and len(pairs) and pairs["p_better"].notna().all():
            ceiling = bounded_mean(pairs["p_better"].astype(float), CHANCE, 1, list(pairs["prompt_id"]))
            metrics[f"hard_ceiling.{objective}.{kind}"] = ceiling
    return metrics
