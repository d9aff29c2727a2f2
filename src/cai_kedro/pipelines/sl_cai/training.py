"""The training of SL-CAI."""

import pandas as pd

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.processes import SharedParams
from cai_kedro.learning.sft import SFTParams, fine_tune
from cai_kedro.models.adapters import prepared


def fine_tune_policy(
    base: LanguageModel, rows: pd.DataFrame, params: SFTParams, seed: int, weights: SharedParams
) -> tuple[LanguageModel, pd.DataFrame]:
    """Fine-tune the start policy, whole or as an adapter (`rows` → model, `curves`; §3.2)."""
    return fine_tune(prepared(base, weights, seed), rows, params, seed, weights.shared)
