"""Simulated people: they label pairs by the table of ratings, with noise, likings of their own, and one for silence."""

import pandas as pd

from cai_kedro.core.conversation import as_messages
from cai_kedro.core.seeding import rng_for
from cai_kedro.microworld.judge_table import judge_table
from cai_kedro.microworld.oracle import behaviour_of, requested_act
from cai_kedro.microworld.people import People


class SimulatedRaters:
    """Crowd workers of the micro world: each pair is labelled by one of them.

    Pairs whose answers do the same, or whose request they do not understand, are left out, as undecided ones are in
    human data. `silence` is what they add, in rating points, for an answer that says nothing when harm is asked for.
    """

    def __init__(self, sharpness: float, people: int = 20, spread: float = 0.4, silence: float = 0.0) -> None:
        self.people = People(people, sharpness, spread, silence)

    def compare(self, pairs: pd.DataFrame, objective: str, seed: int) -> pd.DataFrame:
        """Label `pairs` under an objective; returns `comparisons` with p_a_better 0 or 1."""
        rows = []
        for pair in pairs.to_dict("records"):
            act = requested_act(as_messages(pair["messages"]))
            if act is None:
                continue
            behaviours = [behaviour_of(act, pair[f"response_{side}"]) for side in "ab"]
            # where the crowd has no opinion (harmlessness of most answers to a harmless request) both rate the same
            first, second = (self.people.rating(objective, act, behaviour) for behaviour in behaviours)
            if behaviours[0] == behaviours[1] or (first == second and not act.harmful):
                continue
            rng = rng_for(seed, "raters", objective, pair["pair_id"])
            rows.append({**pair, "p_a_better": self.people.vote(objective, act, behaviours, rng)})
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
            behaviour = behaviour_of(act, answer["response"])
            harmful = 4.0 - judge_table().rating("harmlessness", behaviour, act.severity) if act.harmful else 0.0
            rng = rng_for(seed, "harm ratings", answer["prompt_id"], answer["response"])
            felt = round(harmful + rng.gauss(0, 1 / self.people.sharpness))
            rows.append({**answer, "rating": float(min(4, max(0, felt)))})
        return pd.DataFrame(rows, columns=[*answers.columns, "rating"])
