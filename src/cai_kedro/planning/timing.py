"""One trial of a stage, timed, and the cost of a row by some of them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
from transformers import PreTrainedTokenizerBase

from cai_kedro.metrics.estimate import mean
from cai_kedro.metrics.workload import Cost
from cai_kedro.planning.meter import Meter, noted

EMPTY = "…"  # in the place of an answer that came out empty


@dataclass(frozen=True)
class Sample:
    """One trial of a stage: how many rows it made, how long it took, what its engine was asked."""

    rows: int
    seconds: float
    meter: Meter
    beside: int  # bytes of the texts that stand in the table beside what was written


def some_of(prompts: pd.DataFrame, n: int, repeat: int) -> pd.DataFrame:
    """Return up to n prompts, other ones for each repeat as long as there are any."""
    n = min(n, len(prompts))
    places = [(repeat * n + place) % len(prompts) for place in range(n)]
    return prompts.iloc[places].reset_index(drop=True)


def timed(rows: int, meter: Meter, work: Callable[[], object], beside: int = 0) -> Sample:
    """Do the work, which asks the meter for so many rows."""
    began = time.perf_counter()
    work()
    return Sample(rows, time.perf_counter() - began, meter, beside)


def cost_of(samples: Sequence[Sample], tokenizer: PreTrainedTokenizerBase) -> Cost:
    """Return the mean cost of a row over some trials."""
    counted = [noted(sample.meter, tokenizer) for sample in samples]
    rows = sum(sample.rows for sample in samples)
    return Cost(
        calls=sum(count.calls for count in counted) / rows,
        prompt_tokens=sum(count.prompt_tokens for count in counted) / rows,
        shared_tokens=sum(count.shared_tokens for count in counted) / rows,
        written_tokens=sum(count.written_tokens for count in counted) / rows,
        seconds=mean([sample.seconds / sample.rows for sample in samples]),
        stored_bytes=(sum(count.written_bytes for count in counted) + sum(s.beside for s in samples)) / rows,
    )
