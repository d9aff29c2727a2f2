"""A batch that is read in parts teaches what the whole batch teaches, whatever fits onto the device."""

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils.data import Sampler
from transformers import Trainer

from cai_kedro.learning.batching import LengthGrouped


class WholeBatches(Trainer):
    """A mixin to stand before a Hugging Face trainer on rows of known `length`.

    The rows of a batch are drawn for the whole batch, so how it is cut changes nothing. transformers takes the mean of
    the parts' means; where a loss is a mean over rows, named by `row_key`, each part counts by its rows here: the last
    batch of an epoch ends in a smaller part. A loss over tokens is weighed by transformers itself.
    """

    row_key: ClassVar[str | None] = None

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        rows: Any = train_dataset or self.train_dataset
        whole = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return LengthGrouped(rows["length"][:], whole, self.args.seed)

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        if self.row_key is None:
            return super()._get_num_items_in_batch(batch_samples, device)
        self.loss_is_scaled_for_ga = True
        return sum(len(part[self.row_key]) for part in batch_samples)

    @staticmethod
    def share_of_batch(loss: Tensor, rows: int, rows_in_batch: int | None) -> Tensor:
        """Return what a part's mean loss adds to the mean over the whole batch; alone, it is that mean."""
        return loss if rows_in_batch in (None, rows) else loss * (rows / rows_in_batch)
