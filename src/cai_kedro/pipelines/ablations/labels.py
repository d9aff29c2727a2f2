"""Ablations of the labels: soft, clamped, both orders, one principle or several, chains of thought."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from cai_kedro.core.constitution import Constitution
from cai_kedro.core.conversation import as_messages
from cai_kedro.core.judging import Judge
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.preference import score_responses
from cai_kedro.metrics.accuracy import pairwise_accuracy
from cai_kedro.metrics.estimate import Estimate, bounded_mean
from cai_kedro.pipelines.ablations.effects import AblationParams, effects, label_quality, rating_gaps
from cai_kedro.templates.scores import without_unscored
from cai_kedro.templates.selection import choose

#: How many principles a label of the ensemble averages over.
ENSEMBLE = 4
#: Chains of thought per option order, beside the run's own.
COT_SAMPLES = (2, 4)
#: Bounds of labels after thoughts, beside the run's own.
CLAMPS = {"clamp_off": (0.0, 1.0), "clamp_2_8": (0.2, 0.8)}


def rotated(by: int) -> Callable[[Constitution], Constitution]:
    """Return the node function that moves the preference principles on, so that every pair draws another one."""

    def rotate(constitution: Constitution) -> Constitution:
        """Return the constitution with its preference principles moved on by a share of their number."""
        principles = constitution.preference_principles
        # draws go by place, so moving the list on gives each pair a principle that it had not
        at = by * max(1, len(principles) // ENSEMBLE) % len(principles)
        return constitution.model_copy(update={"preference_principles": (*principles[at:], *principles[:at])})

    rotate.__name__ = f"rotate_principles_{by}"
    return rotate


def limit_pairs(
    harmlessness_pairs: pd.DataFrame, ai_cot_comparisons: pd.DataFrame, params: AblationParams, seed: int
) -> pd.DataFrame:
    """Choose the pairs to label again after several chains of thought, of those labelled after one (→ `pairs`)."""
    labelled = harmlessness_pairs[harmlessness_pairs["pair_id"].isin(ai_cot_comparisons["pair_id"])]
    return choose(labelled, params.cot_pairs, seed, "ablations", by="pair_id")


def harden(mixed: pd.DataFrame) -> pd.DataFrame:
    """Turn soft AI labels into 0 and 1 (`comparisons` → `comparisons`); without a preferred answer they stay at .5."""
    p = mixed["p_a_better"]
    return _relabel(mixed, (np.sign(p - 0.5) + 1) / 2)


def one_order(mixed: pd.DataFrame) -> pd.DataFrame:
    """Take the label of the first option order alone, as the paper does (`comparisons` → `comparisons`)."""
    return _relabel(mixed, mixed["p_a_first"])


def clamped(bounds: tuple[float, float]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return the node function that clamps labels after thoughts at other bounds."""

    def clamp(mixed: pd.DataFrame) -> pd.DataFrame:
        """Clamp the mean of both option orders anew (`comparisons` → `comparisons`)."""
        return _relabel(mixed, mixed[["p_a_first", "p_a_second"]].mean(axis=1).clip(*bounds))

    return clamp


def ensemble(mixed: pd.DataFrame, *relabelled: pd.DataFrame) -> pd.DataFrame:
    """Average the labels under several principles (`comparisons` × n → `comparisons`)."""
    others = [table.set_index("pair_id")["p_a_better"].reindex(mixed["pair_id"]).to_numpy() for table in relabelled]
    return _relabel(mixed, pd.Series(np.mean([mixed["p_a_better"], *others], axis=0), index=mixed.index))


def _relabel(mixed: pd.DataFrame, p_a_better: pd.Series) -> pd.DataFrame:
    """Replace AI labels where there is another; labels by people stay."""
    ours = mixed["source"].isin(["ai", "ai_cot"]) & p_a_better.notna()
    return mixed.assign(p_a_better=mixed["p_a_better"].mask(ours, p_a_better))


def score_cases_of(variant: str) -> Callable[[pd.DataFrame, LanguageModel, AblationParams], pd.DataFrame]:
    """Return the node function by which the preference model of a variant scores the judge's pairs."""

    def score_cases(cases: pd.DataFrame, preference_model: LanguageModel, params: AblationParams) -> pd.DataFrame:
        """Score both answers of each pair (→ `scores`): keyed by pair, `sample` 0 is the better one, 1 the worse."""
        conversations = [as_messages(cell) for cell in cases["messages"]]
        tables = []
        for sample, side in enumerate(("better", "worse")):
            found = score_responses(preference_model, conversations, list(cases[side]), params.batch_size)
            table = pd.DataFrame({"prompt_id": cases["pair_id"].to_numpy(), "sample": sample, "step": 0})
            tables.append(table.assign(arm=variant, score=found.astype(float)))
        return without_unscored(pd.concat(tables, ignore_index=True))

    score_cases.__name__ = f"score_cases_{variant}"
    return score_cases


def rate_labels_of(ablations: dict[str, tuple[str, list[str]]]) -> Callable[..., pd.DataFrame]:
    """Return the node function that rates labels and the preference models trained on them.

    `ablations` gives each ablation its base variant and the others.
    """

    def rate_labels(cases: pd.DataFrame, judge: Judge, params: AblationParams, **given: pd.DataFrame) -> pd.DataFrame:
        """Rate variants (`comparisons` and `scores` each): accuracy of the labels, and of the preference model.

        `given` are `{variant}_comparisons` and `{variant}_scores`. `pm_accuracy_difference` is paired, against the
        ablation's base variant.
        """
        tables = []
        for name in given:
            if name.endswith("_scores"):
                cases = cases[cases["pair_id"].isin(given[name]["prompt_id"])]
        gaps: dict[tuple[str, ...], np.ndarray] = {}  # most variants label the same pairs
        for ablation, (base, others) in ablations.items():
            margins = {variant: _margins(cases, given[f"{variant}_scores"]) for variant in (base, *others)}
            for variant, margin in margins.items():
                labels = given[f"{variant}_comparisons"]
                ai = labels[labels["source"].isin(["ai", "ai_cot"])]
                pairs = tuple(ai["pair_id"])
                if pairs not in gaps:
                    gaps[pairs] = rating_gaps(ai, judge)
                found = label_quality(
                    ai["p_a_better"].tolist(), gaps[pairs], list(ai["prompt_id"]), params.min_rating_gap
                )
                found |= _accuracies(cases, margin)
                if variant != base and len(cases):
                    before, after = ((margins[name] > 0).astype(float) for name in (base, variant))
                    found["pm_accuracy_difference"] = bounded_mean(after - before, -1, 1, list(cases["prompt_id"]))
                tables.append(effects(ablation, variant, found))
        return pd.concat(tables, ignore_index=True)

    return rate_labels


def rate_chains(
    ai_cot_comparisons: pd.DataFrame, judge: Judge, params: AblationParams, **relabelled: pd.DataFrame
) -> pd.DataFrame:
    """Rate labels by the number of chains of thought per option order, before the clamp, on the same pairs."""
    pairs = next(iter(relabelled.values()))
    same = ai_cot_comparisons[ai_cot_comparisons["pair_id"].isin(pairs["pair_id"])]
    gaps = rating_gaps(pairs, judge)
    tables = []
    for name, table in {"chains_1": same, **relabelled}.items():
        p = table.set_index("pair_id")[["p_a_first", "p_a_second"]].mean(axis=1).reindex(pairs["pair_id"])
        found = label_quality(p.tolist(), gaps, list(pairs["prompt_id"]), params.min_rating_gap)
        tables.append(effects("chains of thought", name.removeprefix("chains_"), found))
    return pd.concat(tables, ignore_index=True)


def _margins(cases: pd.DataFrame, scores: pd.DataFrame) -> np.ndarray:
    """Return the score of the better answer less that of the worse: (cases,)."""
    wide = scores.pivot(index="prompt_id", columns="sample", values="score").reindex(
        index=cases["pair_id"], columns=[0, 1]
    )
    return (wide[0] - wide[1]).to_numpy(dtype=float)


def _accuracies(cases: pd.DataFrame, margins: np.ndarray) -> dict[str, Estimate]:
    prompts = cases["prompt_id"].to_numpy()
    found = {"pm_accuracy": pairwise_accuracy(margins, list(prompts))} if len(cases) else {}
    for objective in sorted(set(cases["objective"])):
        chosen = (cases["objective"] == objective).to_numpy()
        found[f"pm_accuracy_{objective}"] = pairwise_accuracy(margins[chosen], list(prompts[chosen]))
    return found
