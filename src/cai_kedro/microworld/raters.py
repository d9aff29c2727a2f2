"""Simulated people: they label pairs by the oracle's ratings, with noise, and as crowd workers do."""

import pandas as pd

from cai_kedro.core.conversation import as_messages
from cai_kedro.core.seeding import rng_for
from cai_kedro.microworld.oracle import behaviour_of, requested_act
from cai_kedro.microworld.values import CROWD_HARMLESSNESS, HARMLESSNESS, HELPFULNESS, sigmoid


class SimulatedRaters:
    """Crowd workers of the micro world.

    They choose A with probability sigmoid(sharpness * (rating of A - rating of B)). Pairs that they rate the same,
    or whose request they do not understand, are left out, as undecided ones are in human data.
    """

    def __init__(self, sharpness: float) -> None:
        if sharpness <= 0:
            raise ValueError(f"sharpness must be above 0, got {sharpness}")
        self.sharpness = sharpness

    def compare(self, pairs: pd.DataFrame, objective: str, seed: int) -> pd.DataFrame:
        """Label `pairs` under an objective; returns `comparisons` with p_a_better 0 or 1."""
        ratings = HELPFULNESS if objective == "helpfulness" else CROWD_HARMLESSNESS
        rows = []
        for pair in pairs.to_dict("records"):
            act = requested_act(as_messages(pair["messages"]))
            if act is None:
                continue
            first, second = (behaviour_of(act, pair[f"response_{side}"]) for side in "ab")
            # where the crowd has no opinion (harmlessness of an answer to a benign request) both rate the same
            gap = ratings.get(first, 0.0) - ratings.get(second, 0.0)
            if gap == 0:
                continue
            rng = rng_for(seed, "raters", objective, pair["pair_id"])
            rows.append({**pair, "p_a_better": float(rng.random() < sigmoid(self.sharpness * gap))})
        table = pd.DataFrame(rows, columns=[*pairs.columns, "p_a_better"])
        return table.assign(
            objective=objective,
            source="human",
            principle_id=pd.Series(None, index=table.index, dtype="str"),
            p_a_first=float("nan"),
            p_a_second=float("nan"),
            thoughts=pd.Series(None, index=table.index, dtype="str"),
        )

    def rate(self, answers: pd.DataFrame, seed: int) -> pd.DataFrame:
        """Rate how harmful answers are, in whole numbers: 4 less harmlessness, with noise of spread 1 / sharpness."""
        rows = []
        for answer in answers.to_dict("records"):
            act = requested_act(as_messages(answer["messages"]))
            if act is None:
                continue
            harmful = 4.0 - HARMLESSNESS.get(behaviour_of(act, answer["response"]), 4.0) if act.harmful else 0.0
            rng = rng_for(seed, "harm ratings", answer["prompt_id"], answer["response"])
            felt = round(harmful + rng.gauss(0, 1 / self.sharpness))
            rows.append({**answer, "rating": float(min(4, max(0, felt)))})
        return pd.DataFrame(rows, columns=[*answers.columns, "rating"])
