"""Reading a preference from the log-probabilities of the two option letters, never from generated text (§4.1)."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from cai_kedro.core.constitution import Constitution, PreferencePrinciple, draw_principle
from cai_kedro.core.seeding import rng_for
from cai_kedro.engines.fitting import TOO_LONG


def principles_of(pairs: pd.DataFrame, constitution: Constitution, seed: int) -> list[PreferencePrinciple]:
    """Draw one preference principle per pair; labels with and without chain of thought share the draw."""
    return [
        draw_principle(constitution.preference_principles, rng_for(seed, "preference", pair_id))
        for pair_id in pairs["pair_id"]
    ]


Orders = Sequence[tuple[str, str]]


def in_orders(
    pairs: pd.DataFrame, both: bool, p_first_option: Callable[[Orders], Sequence[np.ndarray]]
) -> pd.DataFrame:
    """Ask with response A as the first option and, if `both`, as the second.

    `p_first_option` takes the orders, each as the columns to show as first and second option, and returns for each the
    probability of the first option. It gets them together because most of two such prompts is the same.
    Returns `p_a_first`, `p_a_second` (NaN unless `both`) and their mean `p_a_better`, all P(A better).
    """
    orders = [("response_a", "response_b"), ("response_b", "response_a")][: 2 if both else 1]
    a_first, *swapped = p_first_option(orders)
    a_second = 1 - swapped[0] if swapped else np.full(len(pairs), np.nan)
    p_a_better = (a_first + a_second) / 2 if both else a_first
    return pd.DataFrame({"p_a_better": p_a_better, "p_a_first": a_first, "p_a_second": a_second}, index=pairs.index)


def without_label(labels: pd.DataFrame) -> pd.Series:
    """Say of each pair why it has no label; null where it has one."""
    reasons = [TOO_LONG if np.isnan(p) else None for p in labels["p_a_better"]]
    return pd.Series(reasons, index=labels.index, dtype=object)
