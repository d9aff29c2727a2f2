"""The comparisons of an arm: mixed, and split into those to train on and those to test on."""

import logging

import pandas as pd

from cai_kedro.core.seeding import rng_for
from cai_kedro.metrics.estimate import Estimate, proportion
from cai_kedro.templates.rlhf.labels import check_labels
from cai_kedro.templates.rlhf.parameters import ArmParams, RLHFParams, parameters_of
from cai_kedro.templates.selection import choose

logger = logging.getLogger(__name__)


def mix_comparisons(shared: RLHFParams, arm: ArmParams, seed: int, **tables: pd.DataFrame) -> pd.DataFrame:
    """Put the comparison tables of an arm below each other (`comparisons` … → `comparisons`; §4.1).

    Which comparisons a limit keeps depends on seed and `pair_id`. Raises `ValueError` for a limit on another table, and
    for labels that prefer nothing, before anything learns from them.
    """
    params = parameters_of(arm, shared)
    limits = params.comparisons.limits
    unknown = [name for name in limits if name not in tables]
    if unknown:
        raise ValueError(
            f"comparisons.limits of the arm {arm.name!r} names {', '.join(unknown)}, "
            f"but the arm mixes {', '.join(tables)}: name one of these"
        )
    chosen = {name: choose(table, limits.get(name), seed, name, by="pair_id") for name, table in tables.items()}
    logger.info("%s: %s", arm.name, ", ".join(f"{len(table)} of {name}" for name, table in chosen.items()))
    mixed = pd.concat(chosen.values(), ignore_index=True)
    once = mixed.drop_duplicates("pair_id", ignore_index=True)
    if len(once) < len(mixed):  # recorded human comparisons may come in by more than one table
        logger.info("%s: %d comparisons are in more than one table and count once", arm.name, len(mixed) - len(once))
    for name, share in kind_shares(once).items():
        logger.info("%s: %d of %d comparisons of %s", arm.name, round(share["value"] * share["n"]), share["n"], name)
    check_labels(once, params.labels, arm)
    return once


def kind_shares(comparisons: pd.DataFrame) -> dict[str, Estimate]:
    """Return the share of each kind (`sampled`, `mismatched`, `recorded`) among an objective's comparisons.

    Keyed `{objective}.{kind}`. Most pairs that people can decide may be mismatched ones, where one answer was given to
    another prompt: an accuracy on them says little about two answers to the point.
    """
    return {
        f"{objective}.{kind}": proportion(int(n), len(table))
        for (objective,), table in comparisons.groupby(["objective"], sort=True)
        for kind, n in table["kind"].value_counts().sort_index().items()
    }


def held_out(comparisons: pd.DataFrame, share: float, seed: int) -> pd.Series:
    """Say which comparisons are kept from training: all of a drawn share of the prompts (boolean, one per row)."""
    drawn = comparisons["prompt_id"].map(lambda prompt_id: rng_for(seed, "held out", prompt_id).random())
    return drawn.astype(float) < share
