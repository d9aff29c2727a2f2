"""Tables that are made in fixed shards, so that work that was interrupted goes on where it stood.

A stage that samples or scores does nothing itself: it returns a `ShardPlan`, one lazy callable per shard. Who saves the
plan runs the shards that are missing. A row that cannot be made is not lost without a word: it is quarantined.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from cai_kedro.core.schemas import check_table, row_faults

#: The column in which a stage says why a row could not be made; null where it could.
TROUBLE = "trouble"


class ShardParams(BaseModel):
    """How work is cut, and how much of it may go wrong."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompts: int = Field(ge=1, description="at most about so many prompts in a shard")
    max_quarantined: float = Field(ge=0, le=1, description="share of a table's rows above which a run stops")


class Outcome(NamedTuple):
    """What became of some rows: a table, and the rows that are not in it (`id`, `reason`)."""

    rows: pd.DataFrame
    quarantine: pd.DataFrame


@dataclass(frozen=True)
class Shard:
    """The rows that are made together: their ids, a digest of all that goes in, and how to make them."""

    ids: tuple[str, ...]
    inputs: str
    make: Callable[[], Outcome]


@dataclass(frozen=True)
class ShardPlan:
    """A table that waits to be made.

    `ids` are the rows in the order of the table; `id_columns` say which id a made row belongs to. `decided_by` has a
    digest of everything beside its inputs that a shard depends on. `kind` is the table kind of the shards' rows, None
    for one without a schema. `finish` makes the published table of all rows. `tokens` counts what was written so far.
    """

    ids: tuple[str, ...]
    id_columns: tuple[str, ...]
    shards: Mapping[str, Shard]
    decided_by: Mapping[str, str]
    kind: str | None
    max_quarantined: float
    finish: Callable[[pd.DataFrame], pd.DataFrame]
    tokens: Callable[[], int | None]


def ids_of(table: pd.DataFrame, id_columns: Sequence[str]) -> list[str]:
    """Return each row's id: its `id_columns`, joined by points."""
    return [".".join(map(str, row)) for row in table[list(id_columns)].itertuples(index=False, name=None)]


def settle(table: pd.DataFrame, id_columns: Sequence[str]) -> Outcome:
    """Part the rows in trouble (column `trouble`) from the others; one row in trouble takes all of its id along."""
    ids = pd.Series(ids_of(table, id_columns), index=table.index, dtype=object)
    troubled = table[TROUBLE].notna()
    reasons = dict(zip(ids[troubled][::-1], table.loc[troubled, TROUBLE][::-1], strict=True))  # the first reason stays
    rows = table[~ids.isin(reasons)].drop(columns=TROUBLE).reset_index(drop=True)
    return Outcome(rows, quarantine_table({row_id: reasons[row_id] for row_id in ids.unique() if row_id in reasons}))


def quarantine_table(reasons: Mapping[str, str]) -> pd.DataFrame:
    """Return id → reason as a table `id`, `reason`."""
    return pd.DataFrame({"id": list(reasons), "reason": list(reasons.values())}, dtype=object)


def run_shard(plan: ShardPlan, name: str) -> Outcome:
    """Make a shard; malformed rows go to quarantine.

    Raises `RuntimeError` unless every id that went in comes out exactly once, as rows or in quarantine.
    """
    shard = plan.shards[name]
    rows, quarantine = shard.make()
    if plan.kind is not None:
        rows, malformed = _without_malformed(plan.kind, rows, plan.id_columns)
        quarantine = pd.concat([quarantine, malformed], ignore_index=True)
    account(shard.ids, ids_of(rows, plan.id_columns), list(quarantine["id"]), f"shard {name}")
    return Outcome(rows, quarantine)


def _without_malformed(kind: str, rows: pd.DataFrame, id_columns: Sequence[str]) -> Outcome:
    rows = rows.reset_index(drop=True)
    faults = row_faults(kind, rows)
    if faults:
        trouble = pd.Series([faults.get(place) for place in range(len(rows))], dtype=object)
        rows, malformed = settle(rows.assign(**{TROUBLE: trouble}), id_columns)
    else:
        malformed = quarantine_table({})
    return Outcome(check_table(kind, rows), malformed)


def assemble(plan: ShardPlan, made: Sequence[Outcome]) -> Outcome:
    """Return the table of all shards, rows in the order of the plan, finished; and everything in quarantine.

    Raises `RuntimeError` unless every id that went in comes out exactly once.
    """
    rows = pd.concat([outcome.rows for outcome in made], ignore_index=True)
    quarantine = pd.concat([outcome.quarantine for outcome in made], ignore_index=True)
    ids = ids_of(rows, plan.id_columns)
    account(plan.ids, ids, list(quarantine["id"]), "the table")
    place = {row_id: number for number, row_id in enumerate(plan.ids)}
    order = pd.Series([place[row_id] for row_id in ids], dtype=int).sort_values(kind="stable").index
    return Outcome(plan.finish(rows.loc[order].reset_index(drop=True)), quarantine)


def account(ids: Sequence[str], made: Sequence[str], quarantined: Sequence[str], where: str) -> None:
    """Raise `RuntimeError` unless the ids that went in are those that came out, and none is in both places."""
    wanted, rows, refused = set(ids), set(made), set(quarantined)
    lost, foreign, both = wanted - rows - refused, (rows | refused) - wanted, rows & refused
    if lost or foreign or both or len(refused) != len(quarantined):
        raise RuntimeError(
            f"{where}: {len(wanted)} rows went in, {len(rows)} came out and {len(refused)} are in quarantine: "
            f"{_some('lost', lost)}, {_some('not asked for', foreign)}, {_some('in both', both)}"
        )


def _some(what: str, ids: set[str]) -> str:
    return f"{len(ids)} {what}" + (f" such as {min(ids)!r}" if ids else "")
