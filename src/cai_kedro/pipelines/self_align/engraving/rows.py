"""What stage 3 learns from."""

import pandas as pd

from cai_kedro.pipelines.self_align.answers import kept, some_left
from cai_kedro.pipelines.self_align.training import StageTrainingParams, shuffled


class EngravingParams(StageTrainingParams):
    """The parameters of stage 3."""


def build_engraving_rows(answers: pd.DataFrame, params: EngravingParams, seed: int) -> pd.DataFrame:
    """Put the answers that are kept behind their questions (`answers` → `rows`; SELF-ALIGN, stage 3).

    Rules, worked examples and thoughts are gone. Raises `GateClosed` that counts the faults where no answer is kept.
    """
    well = some_left(kept(answers), answers, "engraving")
    rows = well.assign(row_id=well["prompt_id"].astype(str) + ".engraving", source="self_aligned", step=0)
    return shuffled(rows, params.rows, seed, "engraving")
