"""How good the AI labels and the preference models are, against a judge that neither was trained on."""

import logging
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd

from cai_kedro.core.conversation import as_messages
from cai_kedro.core.judging import Judge, rates
from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.preference import score_responses
from cai_kedro.metrics.accuracy import pairwise_accuracy
from cai_kedro.metrics.calibration import Bins, calibration_error, confidence_and_correct, reliability_table
from cai_kedro.metrics.estimate import Estimate, bounded_mean
from cai_kedro.pipelines.evaluation.params import EvaluationParams
from cai_kedro.pipelines.evaluation.ratings import Metrics
from cai_kedro.templates.scores import without_unscored

logger = logging.getLogger(__name__)

_TEST_CASE = ["pair_id", "prompt_id", "messages", "objective", "contrast", "better", "worse"]


@runtime_checkable
class PairMaker(Protocol):
    """A judge that can also make pairs of answers of which it knows the better one."""

    def test_pairs(self, n: int, seed: int) -> pd.DataFrame:
        """Return about n rows: `prompt_id, messages, objective, contrast` (like `right>wrong`), `better, worse`."""
        ...


def measure_labels(
    params: EvaluationParams, seed: int, judge: Judge | None = None, **comparisons: pd.DataFrame
) -> Metrics:
    """Compare labels with the judge's ratings of the same pairs, close ratings left out.

    `comparisons` are tables of that kind, named `{source}_comparisons`. For `label.ai` and `label.ai_cot`, over the
    pairs that the judge decides: `.accuracy` (both option orders), `.accuracy_one_order`, `.ece` (calibration error of
    the label as it is trained on) and `.ece_unclamped` (of the mean of both orders). Over all pairs: `.decided` (the
    share that the judge decides, which the accuracy is about), `.order_effect` (mean |difference| of the two orders),
    `.order_flips` (the share whose two orders choose different answers) and `.first_option_bias` (mean difference:
    above 0 the first option is favoured). Pairs of one prompt are alike, so the intervals count prompts.

    Without a judge, or with one that does not rate, nobody knows who is right: `.spread` (mean |label - 0.5|, from 0 to
    0.5) takes the place of what it takes a judge for.
    """
    metrics: Metrics = {}
    for name, table in _by_source(comparisons).items():
        if table.empty:
            continue
        gaps = _rating_gaps(table, judge)
        if np.isnan(gaps).all():
            spread = (table["p_a_better"].astype(float) - 0.5).abs()
            metrics[f"label.{name}.spread"] = bounded_mean(spread, 0, 0.5, list(table["prompt_id"]))
            metrics |= _order_metrics(f"label.{name}", table)
            continue
        decided, a_is_better = _decided(table, gaps, params)
        logger.info("label.%s: the judge decides %d of %d pairs", name, len(decided), len(table))
        of_decided = table["pair_id"].isin(decided["pair_id"])
        metrics[f"label.{name}.decided"] = bounded_mean(of_decided.astype(float), 0, 1, list(table["prompt_id"]))
        metrics |= _order_metrics(f"label.{name}", table)
        if not decided.empty:
            metrics |= _label_metrics(f"label.{name}", decided, a_is_better, params, seed)
    return metrics


def _by_source(comparisons: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return {name.removesuffix("_comparisons"): table for name, table in comparisons.items()}


def tabulate_reliability(params: EvaluationParams, judge: Judge, **comparisons: pd.DataFrame) -> pd.DataFrame:
    """Compare how sure labels are with how often they are right, bin by bin (figure 9), close ratings left out.

    `comparisons` are tables of that kind, named `{source}_comparisons`. Columns: `source` (`ai`, `ai_cot`), `stage`
    (`label`: as it is trained on; `unclamped`: the mean of both orders), `mean_p`, and the share of right choices as
    `value, low, high, n`.
    """
    bins = Bins(params.labels.bins, params.labels.binning)
    tables = []
    for source, labelled in _by_source(comparisons).items():
        decided, a_is_better = _decided(labelled, _rating_gaps(labelled, judge), params)
        for stage, p in (
            ("label", decided["p_a_better"]),
            ("unclamped", (decided["p_a_first"] + decided["p_a_second"]) / 2),
        ):
            known = p.notna().to_numpy()
            if known.any():
                prompts = list(decided["prompt_id"][known])
                table = reliability_table(*confidence_and_correct(p[known], a_is_better[known]), bins, prompts)
                tables.append(table.assign(source=source, stage=stage))
    columns = ["source", "stage", "mean_p", "value", "low", "high", "n"]
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def make_test_cases(judge: Judge, params: EvaluationParams, seed: int) -> pd.DataFrame:
    """Let the judge make pairs for the preference models, none where it cannot.

    Columns: `pair_id`, `prompt_id`, `messages`, `objective`, `contrast`, `better`, `worse`.
    """
    if not isinstance(judge, PairMaker):
        logger.warning("this judge makes no test pairs: the accuracy of the preference models is not measured")
        return pd.DataFrame(columns=_TEST_CASE, dtype=object)
    pairs = judge.test_pairs(params.preference.pairs, derive_seed(seed, "test_pairs"))
    pairs = pairs.assign(contrast=pairs["contrast"].str.replace(r"\s*>\s*", "_over_", regex=True))
    number = pairs.groupby(["prompt_id", "contrast"]).cumcount().astype(str)
    return pairs.assign(pair_id=pairs["prompt_id"] + "." + pairs["contrast"] + "." + number)[_TEST_CASE]


def score_test_cases_of(arm: str) -> Callable[[pd.DataFrame, LanguageModel, EvaluationParams], pd.DataFrame]:
    """Return the node function by which one arm's preference model scores the test pairs."""

    def score_test_cases(
        cases: pd.DataFrame, preference_model: LanguageModel, params: EvaluationParams
    ) -> pd.DataFrame:
        """Score both answers of each pair (→ `scores`): keyed by pair, `sample` 0 is the better one, 1 the worse."""
        conversations = [as_messages(cell) for cell in cases["messages"]]
        tables = []
        for sample, side in enumerate(("better", "worse")):
            scores: np.ndarray = np.zeros(0)
            if len(cases):
                scores = score_responses(
                    preference_model, conversations, list(cases[side]), params.preference.batch_size
                )
            ids = cases["pair_id"].to_numpy()
            tables.append(
                pd.DataFrame({"prompt_id": ids, "sample": sample, "step": 0, "arm": arm, "score": scores.astype(float)})
            )
        return without_unscored(pd.concat(tables, ignore_index=True))

    score_test_cases.__name__ = f"score_test_cases_of_{arm}"
    return score_test_cases


def measure_preference_models(cases: pd.DataFrame, *scores: pd.DataFrame) -> Metrics:
    """Return `pm_accuracy.{arm}.{objective}` over all contrasts and `pm_accuracy.{arm}.{contrast}` for each."""
    metrics: Metrics = {}
    for (arm,), table in pd.concat(scores, ignore_index=True).groupby(["arm"], sort=False):
        wide = table.pivot(index="prompt_id", columns="sample", values="score")
        scored = cases[cases["pair_id"].isin(wide.index)]
        wide = wide.reindex(index=scored["pair_id"], columns=[0, 1])
        margins = (wide[0] - wide[1]).to_numpy()
        for column in ("objective", "contrast"):
            for name in sorted(set(scored[column])):
                chosen = (scored[column] == name).to_numpy()
                prompts = list(scored["prompt_id"][chosen])
                metrics[f"pm_accuracy.{arm}.{name}"] = pairwise_accuracy(margins[chosen], prompts)
    return metrics


def _decided(comparisons: pd.DataFrame, gaps: np.ndarray, params: EvaluationParams) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the pairs that the judge does not rate too close, and whether A is the better one of each: (n,)."""
    clear = np.abs(gaps) >= params.labels.min_rating_gap
    return comparisons[clear], gaps[clear] > 0


def _rating_gaps(comparisons: pd.DataFrame, judge: Judge | None) -> np.ndarray:
    """Return the judge's rating of A minus that of B on the axis of the row: (n,); NaN where it rates none."""
    if judge is None or not rates(judge):
        return np.full(len(comparisons), np.nan)
    gaps = []
    for row in comparisons.itertuples():
        messages = as_messages(row.messages)
        a, b = (judge.judge(messages, str(answer)) for answer in (row.response_a, row.response_b))
        gaps.append(a.rating(str(row.objective)) - b.rating(str(row.objective)))
    return np.array(gaps, dtype=float)


def _order_metrics(name: str, comparisons: pd.DataFrame) -> Metrics:
    """Return what the order of the options does, over all pairs that were asked in both; none where none was."""
    both = comparisons[comparisons["p_a_first"].notna() & comparisons["p_a_second"].notna()]
    if both.empty:
        return {}
    first, second = (both[column].to_numpy(dtype=float) for column in ("p_a_first", "p_a_second"))
    prompts = list(both["prompt_id"])
    flips = (first - 0.5) * (second - 0.5) < 0
    return {
        f"{name}.order_effect": bounded_mean(np.abs(first - second), 0, 1, prompts),
        f"{name}.order_flips": bounded_mean(flips, 0, 1, prompts),
        f"{name}.first_option_bias": bounded_mean(first - second, -1, 1, prompts),
    }


def _label_metrics(
    name: str, comparisons: pd.DataFrame, a_is_better: np.ndarray, params: EvaluationParams, seed: int
) -> Metrics:
    """Return accuracy and calibration of the pairs that the judge decides; `a_is_better` is its choice: (n,)."""
    sign = np.where(a_is_better, 1.0, -1.0)
    label = comparisons["p_a_better"].to_numpy(dtype=float)
    first, second = (comparisons[column].to_numpy(dtype=float) for column in ("p_a_first", "p_a_second"))
    prompts = comparisons["prompt_id"].to_numpy(dtype=object)
    # both orders are null for a recorded label, the second one where only one order was asked
    one, both = ~np.isnan(first), ~np.isnan(first) & ~np.isnan(second)

    def accuracy(p: np.ndarray, chosen: np.ndarray) -> Estimate:
        return pairwise_accuracy((sign * (p - 0.5))[chosen], list(prompts[chosen]))

    def ece(metric: str, p: np.ndarray, chosen: np.ndarray) -> Metrics:
        confidence, correct = confidence_and_correct(p[chosen], a_is_better[chosen])
        bins = Bins(params.labels.bins, params.labels.binning)
        draws = derive_seed(seed, metric)
        of_prompts = list(prompts[chosen])
        return {metric: calibration_error(confidence, correct, bins, params.n_bootstrap, draws, of_prompts)}

    every = np.ones(len(label), dtype=bool)
    metrics = {f"{name}.accuracy": accuracy(label, every), **ece(f"{name}.ece", label, every)}
    if one.any():
        metrics[f"{name}.accuracy_one_order"] = accuracy(first, one)
    if both.any():
        metrics |= ece(f"{name}.ece_unclamped", (first + second) / 2, both)
    return metrics
