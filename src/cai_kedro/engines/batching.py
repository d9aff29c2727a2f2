"""Cutting rows into batches within a budget of tokens, and what happens when a batch does not fit into memory."""

import logging
from collections.abc import Callable, Sequence
from itertools import groupby

import torch

logger = logging.getLogger(__name__)

#: Rows and lengths of batches are multiples of this. A CPU's library for bfloat16 compiles every product of a new shape
#: (1 to 4 ms, of a small model several times the product itself), so few different shapes are worth some padding.
SHAPE_STEP = 8


class OutOfMemoryError(MemoryError):
    """A batch did not fit into memory, nor did half of it."""


def round_up(n: int) -> int:
    """Return the next size that batches come in."""
    return -(-n // SHAPE_STEP) * SHAPE_STEP


def length_sorted_batches(
    costs: Sequence[int], max_batch_tokens: int, rows: Sequence[Sequence[int]] | None = None
) -> list[list[int]]:
    """Group rows of like length, longest first, so that rows times the longest cost stay within the budget.

    Of rows that cost the same, those that begin alike (`rows`: their token ids) are neighbours. A row above the budget
    is a batch of its own. Where there are more rows and room for `SHAPE_STEP` of them, a batch is a multiple of it.
    """
    order = sorted(range(len(costs)), key=lambda i: (-costs[i], rows[i] if rows is not None else ()))
    batches: list[list[int]] = []
    start = 0
    while start < len(order):
        n = max(1, max_batch_tokens // max(1, costs[order[start]]))
        if n > SHAPE_STEP:
            n -= n % SHAPE_STEP
        batches.append(order[start : start + n])
        start += n
    return batches


def equal_lengths(batches: Sequence[Sequence[int]], lengths: Sequence[int]) -> list[list[int]]:
    """Cut batches so that all rows of one have the same length: nothing is padded."""
    return [
        list(rows)
        for batch in batches
        for _, rows in groupby(sorted(batch, key=lambda i: -lengths[i]), key=lambda i: lengths[i])
    ]


def run_batches(batches: Sequence[Sequence[int]], run: Callable[[list[int]], None], max_batch_tokens: int) -> None:
    """Run the batches one after another; from the first one on that is out of memory, each in two halves.

    So the same memory gives the same batches. Raises `OutOfMemoryError` where half a batch is still too much.
    """
    halving = False
    for batch in batches:
        if not halving:
            if _ran(run, list(batch)):
                continue
            halving = True
            logger.warning(
                "out of memory with batches of %d tokens: from here on they are halved; set max_batch_tokens to %d "
                "to start with that",
                max_batch_tokens,
                max_batch_tokens // 2,
            )
        middle = (len(batch) + 1) // 2
        for half in filter(None, (batch[:middle], batch[middle:])):
            if not _ran(run, list(half)):
                raise OutOfMemoryError(
                    f"out of memory, also with half of max_batch_tokens={max_batch_tokens}: set it to at most "
                    f"{max(1, max_batch_tokens // 4)}, or take fewer few-shots, bfloat16 or a smaller model"
                )


def _ran(run: Callable[[list[int]], None], batch: list[int]) -> bool:
    """Run a batch; False if it is out of memory. By then what it held is free again."""
    try:
        run(batch)
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    else:
        return True
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return False


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory is used up, on a GPU or on the CPU (where torch has no type for it)."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
