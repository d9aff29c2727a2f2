"""A training on several processes: what each of them knows of the others. Where there is one, it is the first."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from torch import Tensor, distributed

T = TypeVar("T")

#: `fsdp` in the processes of a training whose model is shared out over them (`learning.launch`).
SHARDING = "CAI_KEDRO_SHARDING"


def world() -> int:
    """Return on how many processes this training runs."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Return the number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def is_first() -> bool:
    """Tell whether this is the process that writes and reports."""
    return rank() == 0


def is_sharded() -> bool:
    """Tell whether weights, gradients and optimiser are shared out over the processes."""
    return world() > 1 and os.environ.get(SHARDING) == "fsdp"


def agreed(decide: Callable[[], T]) -> T:
    """Return in every process what the first one decides; all have to ask."""
    if world() == 1:
        return decide()
    box: list[Any] = [decide() if is_first() else None]
    distributed.broadcast_object_list(box, src=0)
    return box[0]


def merged(own: Mapping[int, T]) -> dict[int, T]:
    """Return in every process, in order, what all of them have by number."""
    if world() == 1:
        return dict(own)
    boxes: list[Any] = [None] * world()
    distributed.all_gather_object(boxes, dict(own))
    return dict(sorted(item for box in boxes for item in box.items()))


def summed(figures: Tensor) -> Tensor:
    """Return the sum over the processes of figures that each of them has, without a gradient."""
    if world() > 1:
        figures = figures.detach().clone()
        distributed.all_reduce(figures)
    return figures


@contextmanager
def together(*faults: type[Exception]) -> Iterator[None]:
    """Raise `OSError` in every process where one of them meets such a fault: none goes on alone."""
    if world() == 1:
        yield
        return
    own: Exception | None = None
    try:
        yield
    except faults as error:
        own = error
    met = merged({rank(): str(own)} if own is not None else {})
    if met:
        number, fault = next(iter(met.items()))
        raise OSError(f"process {number}: {fault}") from own
