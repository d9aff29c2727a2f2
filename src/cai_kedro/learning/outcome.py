"""What a training gives beside the weights, which it changes in place."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import pandas as pd
from torch import Tensor


@dataclass(frozen=True)
class Outcome:
    """The training curves (`curves`), and the weights along the way, by step, on the CPU."""

    curves: pd.DataFrame
    snapshots: dict[int, dict[str, Tensor]] = field(default_factory=dict)


#: `train(model, data set, parameters, seed, folder of checkpoints, *other models)`: a function of a module, so that
#: other processes find it by its name.
Train: TypeAlias = Callable[..., Outcome]
