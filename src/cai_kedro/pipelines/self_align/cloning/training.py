"""The training of stage 4."""

import pandas as pd

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.pipelines.self_align.cloning.params import CloningParams
from cai_kedro.pipelines.self_align.training import train_stage


def clone(
    base: LanguageModel, rows: pd.DataFrame, params: CloningParams, seed: int
) -> tuple[LanguageModel, pd.DataFrame]:
    """Fine-tune the base model on verbose answers (`rows` → model, `curves`; SELF-ALIGN, stage 4)."""
    return train_stage(base, rows, params, seed, "cloning")
