"""Fine-tuning of the base model in stages 3 and 4: as an adapter, unless a stage says otherwise."""

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.core.seeding import derive_seed
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.sft import SFTParams, fine_tune
from cai_kedro.models.adapters import AdapterParams, prepared

ROW_COLUMNS = ["row_id", "prompt_id", "messages", "response", "source", "step"]


class StageTrainingParams(BaseModel):
    """How many rows a stage learns from, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int | None = Field(ge=1, description="at most so many; null for all")
    training: AdapterParams = Field(description="of this stage, whatever `training` of the run says")
    fine_tuning: SFTParams


def train_stage(
    base: LanguageModel, rows: pd.DataFrame, params: StageTrainingParams, seed: int, stage: str
) -> tuple[LanguageModel, pd.DataFrame]:
    """Fine-tune the base model on answers (`rows` → model, `curves`); of an adapter, it alone is saved."""
    seed = derive_seed(seed, "self_align", stage)
    adapted = prepared(base, params.training, seed, f"self_align.{stage}.training")
    return fine_tune(adapted, rows, params.fine_tuning, seed)


def shuffled(rows: pd.DataFrame, limit: int | None, seed: int, stage: str) -> pd.DataFrame:
    """Return at most `limit` rows in the order of a hash of `row_id`, so a row that is added moves no other."""
    order = rows["row_id"].map(lambda row_id: derive_seed(seed, "self_align", stage, row_id))
    return rows.loc[order.sort_values(kind="stable").index][:limit].reset_index(drop=True)[ROW_COLUMNS]
