"""Choosing some rows of a table so that the choice belongs to the rows and not to the table."""

import pandas as pd

from cai_kedro.core.seeding import SeedKey, derive_seed


def choose(table: pd.DataFrame, limit: int | None, seed: int, *key: SeedKey, by: str = "prompt_id") -> pd.DataFrame:
    """Return at most `limit` rows in table order: those whose `by` hashes lowest under (seed, key); None keeps all.

    A row is ranked by its own hash, so a row added to the table takes at most one place and moves no other rank.
    """
    if limit is None or len(table) <= limit:
        return table.reset_index(drop=True)
    rank = table[by].map(lambda value: derive_seed(seed, "choose", *key, value))
    return table.loc[rank.sort_values(kind="stable").index[:limit].sort_values()].reset_index(drop=True)
