"""Scores of a preference model, of which some may be missing."""

import logging

import pandas as pd

logger = logging.getLogger(__name__)


def without_unscored(scores: pd.DataFrame) -> pd.DataFrame:
    """Leave out every id (`prompt_id`) of which a score is missing, so that what is compared has the same prompts."""
    ids = set(scores["prompt_id"][scores["score"].isna()])
    if ids:
        n = scores["prompt_id"].nunique()
        logger.warning(
            "%d of %d ids have an answer without a score, such as %r: left out", len(ids), n, min(map(str, ids))
        )
    return scores[~scores["prompt_id"].isin(ids)].reset_index(drop=True)
