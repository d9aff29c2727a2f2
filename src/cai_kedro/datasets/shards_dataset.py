"""Tables that are made shard by shard: work that was interrupted goes on, and nothing is made twice."""

import logging
from collections import Counter
from pathlib import Path

import pandas as pd
from kedro.io import DatasetError

from cai_kedro.core.csv_text import as_csv
from cai_kedro.core.progress import RowProgress
from cai_kedro.core.shards import Outcome, ShardPlan, assemble, quarantine_table, run_shard
from cai_kedro.datasets.durable import write_durably
from cai_kedro.datasets.lock import locked
from cai_kedro.datasets.shard_store import ShardStore
from cai_kedro.datasets.table_dataset import TableDataset

logger = logging.getLogger(__name__)

QUARANTINE = "quarantine.csv"


class ShardsDataset(TableDataset):
    """A table like any other when loaded. Saved is a `ShardPlan`: missing shards are made, then the table is published.

    Shards lie beside the table, `shards/<table>/<fingerprint>/<shard>`. The table is published only when every shard is
    there and every row that went in came out or is in quarantine; rows in quarantine are listed beside it.
    """

    def save(self, data: ShardPlan) -> None:
        """Make what is missing and publish.

        Raises `DatasetError` if another run is at it, if too much is in quarantine, or if the disk is full.
        """
        if not isinstance(data, ShardPlan):
            raise DatasetError(f"{self._filepath} takes a ShardPlan, got {type(data).__name__}")
        table = Path(str(self._filepath))
        folder = table.parent / "shards" / table.stem
        with locked(folder / "lock", table.stem):
            made = self._make(data, ShardStore(folder, data), table.stem)
            self._publish(data, made, table.stem)

    def _make(self, plan: ShardPlan, store: ShardStore, name: str) -> list[Outcome]:
        there = {shard: kept for shard in plan.shards if (kept := store.read(shard)) is not None}
        reused = sum(len(plan.shards[shard].ids) for shard in there)
        _refuse_too_many(plan, list(there.values()), name)
        progress = RowProgress(name, len(plan.ids), reused)
        for shard in plan.shards:
            if shard in there:
                continue
            before = plan.tokens() or 0
            there[shard] = store.write(shard, run_shard(plan, shard))
            progress.add(len(plan.shards[shard].ids), len(there[shard].quarantine), (plan.tokens() or 0) - before)
            _refuse_too_many(plan, list(there.values()), name)
        quarantined = sum(len(outcome.quarantine) for outcome in there.values())
        logger.info("%s: %d rows reused, %d made, %d quarantined", name, reused, len(plan.ids) - reused, quarantined)
        return [there[shard] for shard in plan.shards]

    def _publish(self, plan: ShardPlan, made: list[Outcome], name: str) -> None:
        table, quarantine = assemble(plan, made)
        if len(quarantine):
            file = Path(str(self._get_save_path())).with_name(QUARANTINE)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_durably(file, as_csv(quarantine).encode())
            logger.warning("%s: in quarantine %s; see %s", name, _reasons(quarantine), file)
        self._write(table)


def _refuse_too_many(plan: ShardPlan, made: list[Outcome], name: str) -> None:
    """Raise `DatasetError` once more than the allowed share of the whole table is in quarantine."""
    quarantine = pd.concat([quarantine_table({}), *(outcome.quarantine for outcome in made)], ignore_index=True)
    if len(quarantine) > plan.max_quarantined * len(plan.ids):
        raise DatasetError(
            f"{name}: {len(quarantine)} of {len(plan.ids)} rows are in quarantine, more than shards.max_quarantined "
            f"allows ({plan.max_quarantined:.1%}): {_reasons(quarantine)}. Correct what causes it, or allow a larger "
            f"share; finished shards are kept"
        )


def _reasons(quarantine: pd.DataFrame) -> str:
    """Count the reasons, most frequent first, each with an example."""
    examples = dict(zip(quarantine["reason"][::-1], quarantine["id"][::-1], strict=True))
    counted = Counter(quarantine["reason"]).most_common(3)
    return "; ".join(f"{n} × {reason} (such as {examples[reason]!r})" for reason, n in counted)
