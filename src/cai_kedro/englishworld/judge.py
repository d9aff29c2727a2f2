"""Judge, referee and simulated raters of the English world: what the oracle reads, rated by a table."""

import logging
import math
import random
from collections.abc import Mapping

import numpy as np
import pandas as pd

from cai_kedro.core.conversation import Conversation, as_messages
from cai_kedro.core.judging import LOOK_ALIKE, Judgement, Objection
from cai_kedro.core.rating_table import AXES
from cai_kedro.core.seeding import rng_for
from cai_kedro.englishworld.judge_table import judge_table
from cai_kedro.englishworld.lexicon import lexicon
from cai_kedro.englishworld.oracle import requested, sentences_of, told

logger = logging.getLogger(__name__)

#: The behaviour of whatever the grammar did not make, and the category of such a request.
UNKNOWN = "unknown"


class EnglishWorldJudge:
    """True behaviours and ratings of answers that the grammar can make; `unknown` and no rating for all others.

    As a referee it prefers the answer with the higher rating with probability sigmoid(sharpness * difference). As
    raters it labels pairs in the same way, and rates how harmful answers are with noise of spread 1 / sharpness.
    """

    def __init__(self, sharpness: float) -> None:
        """Raises `ValueError` for a sharpness that is not above 0.

        Args:
            sharpness: slope of a preference in rating points.
        """
        if not sharpness > 0:
            raise ValueError(f"sharpness must be above 0, got {sharpness}")
        self.sharpness = sharpness

    def provenance(self) -> Mapping[str, str]:
        """Return what is recorded with the run: the digest of the table, and since when it is frozen."""
        return judge_table().provenance()

    def judge(self, messages: Conversation, response: str) -> Judgement:
        """Name the behaviour of one answer and rate it.

        The category is the harm that was asked for, or `look_alike` for a harmless request that looks harmful, or
        `unknown` for a request that the grammar did not make.
        """
        deed = requested(messages)
        if deed is None:
            return Judgement(UNKNOWN, UNKNOWN)
        category = deed.harm or (LOOK_ALIKE if deed.looks_like else None)
        answer = told(deed, response)
        if answer is None:
            return Judgement(UNKNOWN, category)
        ratings = {axis: judge_table().rating(axis, answer.behaviour, deed.severity) for axis in AXES}
        return Judgement(answer.behaviour, category, ratings)

    def prefer(self, messages: Conversation, a: str, b: str, axis: str, rng: random.Random) -> float:
        """Return 1 if answer A is preferred, 0 if B, 0.5 if the two are alike, NaN if one of them is unknown."""
        p = self.p_prefer(messages, a, b, axis)
        if p is None or p == 0.5:
            return math.nan if p is None else p
        return float(rng.random() < p)

    def p_prefer(self, messages: Conversation, a: str, b: str, axis: str) -> float | None:
        """Return how probably answer A is preferred, None if one of the two is unknown."""
        gap = self.judge(messages, a).rating(axis) - self.judge(messages, b).rating(axis)
        return None if math.isnan(gap) else _sigmoid(self.sharpness * gap)

    def objection(self, messages: Conversation, response: str) -> Objection | None:
        """Return what an answer objects to and the harm that its reason is about, None if it does not object."""
        deed = requested(messages)
        answer = None if deed is None else told(deed, response)
        if deed is None or answer is None or answer.behaviour not in ("objection", "weak", "refusal"):
            return None
        reasons = (sentence.says("why") for sentence in sentences_of(deed, response) or ())
        reason = next(said for said in reasons if said is not None)
        harm = reason.split("/")[0] if reason.split("/")[0] in lexicon().harms else str(deed.harm)
        return Objection(to_the_act=answer.about, harm=harm)

    def compare(self, pairs: pd.DataFrame, objective: str, seed: int) -> pd.DataFrame:
        """Label `pairs` (→ `comparisons` with p_a_better 0 or 1); unknown and equal answers are left out."""
        rows, unknown = [], 0
        for pair in pairs.to_dict("records"):
            label = self.prefer(
                as_messages(pair["messages"]),
                pair["response_a"],
                pair["response_b"],
                objective,
                rng_for(seed, "english raters", objective, pair["pair_id"]),
            )
            unknown += math.isnan(label)
            if label in (0.0, 1.0):
                rows.append({**pair, "p_a_better": label})
        _tell(unknown, len(pairs), "pairs")
        table = pd.DataFrame(rows, columns=[*pairs.columns, "p_a_better"])
        nothing = pd.Series(None, index=table.index, dtype="str")
        return table.assign(
            objective=objective, source="human", principle_id=nothing, p_a_first=np.nan, p_a_second=np.nan,
            thoughts=nothing,
        )  # fmt: skip

    def rate(self, answers: pd.DataFrame, seed: int) -> pd.DataFrame:
        """Say how harmful answers are, in whole numbers from 0 to 4 (→ `ratings`); unknown ones are left out."""
        rows, unknown = [], 0
        for answer in answers.to_dict("records"):
            rating = self.judge(as_messages(answer["messages"]), answer["response"]).rating("harmlessness")
            if math.isnan(rating):
                unknown += 1
                continue
            rng = rng_for(seed, "english harm ratings", answer["prompt_id"], answer["response"])
            felt = round(4 - rating + rng.gauss(0, 1 / self.sharpness))
            rows.append({**answer, "rating": float(min(4, max(0, felt)))})
        _tell(unknown, len(answers), "answers")
        return pd.DataFrame(rows, columns=[*answers.columns, "rating"])


def _tell(unknown: int, of: int, what: str) -> None:
    if unknown:
        logger.warning("%d of %d %s are left out: the English world's grammar did not make them", unknown, of, what)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
