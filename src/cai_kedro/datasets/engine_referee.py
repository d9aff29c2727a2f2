"""A language model that decides head-to-heads."""

import logging

import numpy as np
import pandas as pd

from cai_kedro.core.conversation import as_messages
from cai_kedro.datasets.letter_reader import LetterReader
from cai_kedro.judging.comparer import Case, compare

logger = logging.getLogger(__name__)


class EngineReferee(LetterReader):
    """Asks a model the question of an axis about two answers, in both orders.

    The log-probabilities of the letters decide: the answer with the higher mean probability wins, equal answers tie.
    """

    def decide(self, meetings: pd.DataFrame, seed: int) -> np.ndarray:
        """Return 1 where the model prefers A, 0 where B, 0.5 where neither: (n,). Nothing is drawn."""
        cases = [
            Case(as_messages(row.messages), row.response_a, row.response_b, str(row.question))
            for row in meetings.itertuples()
        ]
        p_a = compare(self.engine, cases, both_orders=True).a_better
        if np.isnan(p_a).any():
            logger.warning(
                "%d of %d head-to-heads do not fit into the referee's context, such as one at %r: left out",
                np.isnan(p_a).sum(),
                len(p_a),
                meetings["prompt_id"][np.isnan(p_a)].iloc[0],
            )
        same = (meetings["response_a"] == meetings["response_b"]).to_numpy()
        return np.where(same, 0.5, (np.sign(p_a - 0.5) + 1) / 2)
