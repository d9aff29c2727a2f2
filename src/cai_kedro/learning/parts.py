"""A batch that is read in parts teaches what the whole batch teaches, on however many processes it is read."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as Rows
from transformers import Trainer

from cai_kedro.learning import ranks
from cai_kedro.learning.batching import LengthGrouped


class WholeBatches(Trainer):
    """A mixin to stand before a Hugging Face trainer on rows of known `length`.

    They are learnt by `phase`, and those with the same `together` in one batch, if they have these.

    The rows of a batch are drawn for the whole batch, so how it is cut changes nothing. transformers takes the mean of
    the parts' means; where a loss is a mean over rows, named by `row_key`, each part counts by its rows here: the last
    batch of an epoch ends in a smaller part. A loss over tokens is weighed by transformers itself.

    On several processes, each reads its rows of every batch, and the gradients are averaged over the processes. All
    read equally many rows; one that lacks one at the end of an epoch reads a blank row, which counts nothing.
    """

    row_key: ClassVar[str | None] = None

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        rows: Any = train_dataset or self.train_dataset
        whole = self.args.train_batch_size * self.args.gradient_accumulation_steps * ranks.world()
        phases, together = (rows[name][:] if name in rows.column_names else None for name in ("phase", "together"))
        return LengthGrouped(rows["length"][:], whole, self.args.seed, phases, together)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return what this process reads, part by part."""
        if ranks.world() == 1:
            return super().get_train_dataloader()
        sampler: Any = self._get_train_sampler()
        parts = OwnParts(sampler, ranks.rank(), ranks.world(), self.args.train_batch_size)
        rows = _WithBlanks(self.train_dataset, self.row_key)
        # accelerate would deal out whole parts, and fill up the last batch with rows that count
        return _OwnLoader(
            rows, batch_sampler=parts, collate_fn=self.data_collator, pin_memory=self.args.dataloader_pin_memory
        )

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        if self.row_key is None:
            return super()._get_num_items_in_batch(batch_samples, device)
        self.loss_is_scaled_for_ga = True
        rows = sum(self.counted(part[self.row_key])[1] for part in batch_samples)
        if ranks.world() == 1:
            return rows
        # the mean over the processes of their sums, as DDP takes it, shall be the mean over the rows of all
        return ranks.summed(torch.tensor(float(rows), device=device)).item() / ranks.world()

    @staticmethod
    def counted(values: Tensor) -> tuple[Tensor, int]:
        """Return a part's `row_key` without the mark of blank rows, and how many of its rows count: the first ones."""
        if ranks.world() == 1:
            return values, len(values)
        return values.nan_to_num(), int((~values.isnan()).sum())

    @staticmethod
    def share_of_batch(loss: Tensor, rows: int, rows_in_batch: float | None) -> Tensor:
        """Return what a part's mean loss adds to the mean over the whole batch; alone, it is that mean."""
        return loss if rows_in_batch in (None, rows) else loss * (rows / rows_in_batch)

    @staticmethod
    def mean_of_part(figures: Tensor, rows: int) -> float:
        """Return the mean of figures (n,) over the rows that count, those of the other processes too."""
        if ranks.world() == 1:
            return figures.mean().item()
        total = ranks.summed(torch.stack([figures[:rows].sum(), figures.new_tensor(float(rows))]))
        return (total[0] / total[1]).item()


class OwnParts(Sampler[list[int]]):
    """The parts of each batch that one process reads: row numbers; from the number of rows on, they are blank ones.

    Of a batch, the process takes every `world`-th row, from the one of its own number on.
    """

    def __init__(self, rows: LengthGrouped, rank: int, world: int, size: int) -> None:
        self.rows, self.rank, self.world, self.size = rows, rank, world, size

    def set_epoch(self, epoch: int) -> None:
        """Say which pass the next one is."""
        self.rows.set_epoch(epoch)

    def __len__(self) -> int:
        """Return the number of parts of a pass, the same for every process."""
        whole, rest = divmod(len(self.rows), self.rows.batch_size)
        return whole * self._parts(self.rows.batch_size) + self._parts(rest)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the parts of a pass."""
        order = list(self.rows)
        for start in range(0, len(order), self.rows.batch_size):
            batch = order[start : start + self.rows.batch_size]
            own = batch[self.rank :: self.world]
            own += [len(order) + batch[0]] * (self._most(len(batch)) - len(own))
            for part in range(0, len(own), self.size):
                yield own[part : part + self.size]

    def _most(self, batch: int) -> int:
        """Return how many rows of a batch each process reads."""
        return -(-batch // self.world)

    def _parts(self, batch: int) -> int:
        return -(-self._most(batch) // self.size)


class _OwnLoader(DataLoader[Any]):
    def set_epoch(self, epoch: int) -> None:
        parts: Any = self.batch_sampler
        parts.set_epoch(epoch)


class _WithBlanks(Rows[dict[str, Any]]):
    """Rows, and behind them the same rows blank: without labels (`key` None), or with NaN for what is learnt."""

    def __init__(self, rows: Any, key: str | None) -> None:
        self.rows, self.key = rows, key
        if key and any(math.isnan(value) for value in rows[key]):
            raise ValueError(f"a row to learn from has no number as its {key}; look at the table that it came from")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index < len(self.rows):
            row: dict[str, Any] = self.rows[index]
            return row
        row = dict(self.rows[index - len(self.rows)])
        blank: Sequence[int] | float = float("nan") if self.key else [-100] * len(row["labels"])
        return row | {self.key or "labels": blank}
