"""How a variant of the method is rated: rows of the one long table that every ablation ends in."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.core.conversation import as_messages
from cai_kedro.core.judging import Judge, Judgement, PairJudge
from cai_kedro.core.seeding import derive_seed, rng_for
from cai_kedro.metrics.accuracy import pairwise_accuracy
from cai_kedro.metrics.bradley_terry import elo_ratings
from cai_kedro.metrics.estimate import Estimate, bounded_mean, proportion

#: The axes of the paper, which the ablations look at.
RATED = ("harmlessness", "helpfulness")

COLUMNS = ["ablation", "variant", "metric", "value", "low", "high", "n"]


class AblationParams(BaseModel):
    """How much of a finished run is looked at again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompts: int = Field(ge=1, description="red-team prompts whose first responses are revised again")
    cot_pairs: int = Field(ge=1, description="pairs that are labelled again after several chains of thought")
    harmless_from: float = Field(ge=0, le=4, description="rating from which an answer counts as harmless")
    min_rating_gap: float = Field(gt=0, le=4, description="pairs that the judge rates closer are left out")
    batch_size: int = Field(ge=1, description="answers scored at once")
    n_bootstrap: int = Field(ge=100)


def effects(ablation: str, variant: str, metrics: Mapping[str, Estimate]) -> pd.DataFrame:
    """Return one row per metric of a variant."""
    rows = [{"ablation": ablation, "variant": variant, "metric": name, **found} for name, found in metrics.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def judged(answers: pd.DataFrame, judge: Judge) -> pd.DataFrame:
    """Put the judge's ratings beside answers that stand next to their `messages`: `harmlessness`, `helpfulness`.

    Raises `ValueError` for a judge that does not rate both.
    """
    said: list[Judgement] = [judge.judge(as_messages(row.messages), str(row.response)) for row in answers.itertuples()]
    rated = answers.assign(**{axis: [one.rating(axis) for one in said] for axis in RATED})
    unrated = [axis for axis in RATED if rated[axis].isna().any()]
    if unrated:
        raise ValueError(
            f"the ablations need a judge that rates every answer on {' and '.join(RATED)}; this one leaves out "
            f"{' and '.join(unrated)}. Name another `judge` in the catalog"
        )
    return rated


def elo_of_variants(
    answers: pd.DataFrame, objective: str, reference: str, judge: Judge, params: AblationParams, seed: int
) -> dict[str, Estimate]:
    """Let every two variants meet at every prompt that both answered, and rate them with the reference at 0.

    `answers` has `variant`, `prompt_id`, `messages`, `response`, one answer each. Equal answers tie. Raises
    `ValueError` for a judge that does not compare two answers.
    """
    if not isinstance(judge, PairJudge):
        raise ValueError(
            f"the ablations need a judge that compares two answers as well, and {type(judge).__name__} does not. Name "
            f"another `judge` in the catalog"
        )
    rows = []
    for (prompt_id,), met in answers.groupby(["prompt_id"], sort=True):
        messages = as_messages(met["messages"].iloc[0])
        said = dict(zip(met["variant"], met["response"], strict=True))
        names = sorted(said)
        for a, b in ((a, b) for i, a in enumerate(names) for b in names[i + 1 :]):
            rng = rng_for(seed, "ablation", prompt_id, a, b)
            swapped = rng.random() < 0.5  # noqa: PLR2004 - a coin, so that a judge who likes the first favours nobody
            first, second = (b, a) if swapped else (a, b)
            equal = said[a] == said[b]
            won = 0.5 if equal else judge.prefer(messages, said[first], said[second], objective, rng)
            rows.append((prompt_id, a, b, objective, 1 - won if swapped else won))
    played = pd.DataFrame(rows, columns=["prompt_id", "policy_a", "policy_b", "criterion", "outcome"])
    return elo_ratings(played, reference, params.n_bootstrap, derive_seed(seed, "ablation elo", objective, reference))


def harmless_share(answers: pd.DataFrame, harmless_from: float) -> Estimate:
    """Return how many answers the judge finds harmless enough."""
    return proportion(float((answers["harmlessness"] >= harmless_from).sum()), len(answers))


def rating_gaps(pairs: pd.DataFrame, judge: Judge) -> np.ndarray:
    """Return the judge's harmlessness of response A minus that of response B: (n,)."""
    gaps = []
    for row in pairs.itertuples():
        messages = as_messages(row.messages)
        a, b = (judge.judge(messages, str(text)).rating("harmlessness") for text in (row.response_a, row.response_b))
        gaps.append(a - b)
    return np.array(gaps, dtype=float)


def label_quality(
    p_a_better: Sequence[float], gaps: np.ndarray, prompt_ids: Sequence[str], min_gap: float
) -> dict[str, Estimate]:
    """Say how good labels are where the judge decides: (n,) each; pairs of one prompt are alike.

    `label_accuracy` counts labels on the judge's side, `label_squared_error` is the mean squared error of the
    probability (Brier): .25 for a label of .5.
    """
    decided = np.abs(gaps) >= min_gap
    p, a_is_better = np.asarray(p_a_better, dtype=float)[decided], gaps[decided] > 0
    prompts = list(np.asarray(prompt_ids, dtype=object)[decided])
    return {
        "label_accuracy": pairwise_accuracy(np.where(a_is_better, 1, -1) * (p - 0.5), prompts),
        "label_squared_error": bounded_mean((p - a_is_better) ** 2, 0, 1, prompts),
    }
