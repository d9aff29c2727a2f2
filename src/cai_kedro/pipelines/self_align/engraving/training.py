"""The training of stage 3."""

import pandas as pd

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.pipelines.self_align.engraving.rows import EngravingParams
from cai_kedro.pipelines.self_align.training import train_stage


def engrave(
    base: LanguageModel, rows: pd.DataFrame, params: EngravingParams, seed: int
) -> tuple[LanguageModel, pd.DataFrame]:
    """Fine-tune the base model on answers under rules (`rows` → model, `curves`; SELF-ALIGN, stage 3)."""
    return train_stage(base, rows, params, seed, "engraving")
