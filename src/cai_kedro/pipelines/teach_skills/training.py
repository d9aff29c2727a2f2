"""The training."""

from collections.abc import Mapping

import pandas as pd

from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.learning.lessons import teach
from cai_kedro.models.adapters import prepared, targets_of, upper_layers
from cai_kedro.pipelines.teach_skills.params import TeachingParams

_WHERE = "teach_skills.teaching.training"


def teach_model(
    base: LanguageModel, lessons: pd.DataFrame, params: TeachingParams, seed: int
) -> tuple[LanguageModel, pd.DataFrame, Mapping[int, LanguageModel]]:
    """Teach the base model (`lessons` → model, `curves`, models along the way by step)."""
    training = params.training
    if training.adapter != "none" and params.upper_layers is not None:
        targets = upper_layers(targets_of(base.model, training.lora, _WHERE), params.upper_layers)
        training = training.model_copy(update={"lora": training.lora.model_copy(update={"targets": list(targets)})})
    taught = teach(prepared(base, training, seed, _WHERE), lessons, params.fine_tuning, seed)
    return taught.model, taught.curves, taught.snapshots
