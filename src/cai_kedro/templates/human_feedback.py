"""Comparisons by people: simulated from the oracle in the micro world, recorded ones elsewhere."""

import pandas as pd

from cai_kedro.core.judging import Raters


def compare_helpfulness(pairs: pd.DataFrame, human_raters: Raters, seed: int) -> pd.DataFrame:
    """Have people say which answer helps more (`pairs` → `comparisons`, source `human`; §4.1)."""
    return human_raters.compare(pairs, "helpfulness", seed)


def compare_harmlessness(pairs: pd.DataFrame, human_raters: Raters, seed: int) -> pd.DataFrame:
    """Have people say which answer is less harmful (`pairs` → `comparisons`; the HH RLHF baseline alone uses it)."""
    return human_raters.compare(pairs, "harmlessness", seed)
