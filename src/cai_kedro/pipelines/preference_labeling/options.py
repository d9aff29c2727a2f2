"""What labels with and without chain of thought share: the drawn principles, and the columns of a label (§4.1)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cai_kedro.core.constitution import NO_HELPFULNESS, Constitution, PreferencePrinciple, draw_principle
from cai_kedro.core.seeding import rng_for
from cai_kedro.engines.fitting import TOO_LONG
from cai_kedro.judging.comparer import Preferences


def principles_about(constitution: Constitution, objective: str) -> Sequence[PreferencePrinciple]:
    """Return the principles that pairs are compared by; raises `ValueError` where the constitution has none."""
    if objective == "harmlessness":
        return constitution.preference_principles
    if not constitution.helpfulness_principles:
        raise ValueError(NO_HELPFULNESS)
    return constitution.helpfulness_principles


def principles_of(
    pairs: pd.DataFrame, constitution: Constitution, seed: int, objective: str = "harmlessness"
) -> list[PreferencePrinciple]:
    """Draw one preference principle per pair; labels with and without chain of thought share the draw."""
    principles = principles_about(constitution, objective)
    return [draw_principle(principles, rng_for(seed, "preference", pair_id)) for pair_id in pairs["pair_id"]]


def label_columns(preferences: Preferences, pairs: pd.DataFrame) -> pd.DataFrame:
    """Return `p_a_first`, `p_a_second` (NaN unless both orders were asked) and their mean `p_a_better`."""
    columns = {
        "p_a_better": preferences.a_better,
        "p_a_first": preferences.a_first,
        "p_a_second": preferences.a_second,
    }
    return pd.DataFrame(columns, index=pairs.index)


def without_label(labels: pd.DataFrame) -> pd.Series:
    """Say of each pair why it has no label; null where it has one."""
    reasons = [TOO_LONG if np.isnan(p) else None for p in labels["p_a_better"]]
    return pd.Series(reasons, index=labels.index, dtype=object)
