"""Rows that travel together: what a worker of a cluster is asked, and what it answers, as JSON."""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

import torch

from cai_kedro.core.asks import Ask, as_json, from_json
from cai_kedro.engines.base import Sampling, TextEngine
from cai_kedro.engines.loading import TransformersSettings, VLLMSettings, load_engine
from cai_kedro.engines.model_reference import ModelReference

Row = TypeVar("Row")


def blocks_of(rows: Sequence[Row], size: int) -> list[list[Row]]:
    """Cut rows into blocks of `size`, in order; the last may be shorter.

    A block is read as a whole by one worker. So its batches, and every byte of its answers, do not depend on which.
    """
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)]


def asked_to_generate(asks: Sequence[Ask], seeds: Sequence[int], sampling: Sampling) -> str:
    """Write down a call of `TextEngine.generate`."""
    return json.dumps({"asks": as_json(list(asks)), "seeds": list(seeds), "sampling": sampling.model_dump()})


def asked_to_choose(asks: Sequence[Ask]) -> str:
    """Write down a call of `TextEngine.choice_logprobs`."""
    return json.dumps({"asks": as_json(list(asks))})


def answer(engine: TextEngine, asked: str) -> str:
    """Do what was asked; returns `texts`, `reasons` and the number of `tokens` written, or `logprobs`, as JSON."""
    call = json.loads(asked)
    asks = from_json(call["asks"])
    if "seeds" not in call:
        return json.dumps({"logprobs": engine.choice_logprobs(asks).tolist()})
    before = getattr(engine, "tokens_written", 0)
    said = engine.generate(asks, Sampling(**call["sampling"]), call["seeds"])
    return json.dumps(
        {
            "texts": [one.text for one in said],
            "reasons": [one.finish_reason for one in said],
            "tokens": getattr(engine, "tokens_written", 0) - before,
        }
    )


class BlockWorker:
    """An actor of Ray Data: one engine, loaded once, that answers one block after the other."""

    def __init__(self, reference: ModelReference, settings: TransformersSettings | VLLMSettings, threads: int) -> None:
        """Load the model on this machine."""
        torch.set_num_threads(threads)  # as many everywhere: their number changes sums in the last bits
        self._engine = load_engine(settings, reference.directory(), reference.layout)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Turn a block's number and what is `asked` into its number and the `answer`."""
        return {"id": row["id"], "answer": answer(self._engine, row["asked"])}
