"""The red-team prompts, given and generated."""

from collections.abc import Sequence

import pandas as pd

from cai_kedro.templates.training_prompts import training_prompts


def gather_red_team_prompts(
    given: pd.DataFrame, generated: pd.DataFrame, held_out: pd.DataFrame, held_out_phrases: Sequence[str]
) -> pd.DataFrame:
    """Put given and generated prompts into one table (`prompts` ×2 → `prompts`; §3.2): given first, `source` kept.

    What is held out is left out, as `training_prompts` says.
    """
    return training_prompts(pd.concat([given, generated], ignore_index=True), held_out, held_out_phrases)


def gather_held_out(*tables: pd.DataFrame) -> pd.DataFrame:
    """Put the held-out prompts of several axes into one table (`prompts` each → `prompts`), each prompt id once."""
    return pd.concat(tables, ignore_index=True).drop_duplicates("prompt_id").reset_index(drop=True)
