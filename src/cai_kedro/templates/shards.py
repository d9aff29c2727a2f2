"""How a stage cuts its rows into shards, and what it says a shard depends on."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from functools import partial
from typing import Any

import pandas as pd
from pydantic import BaseModel

from cai_kedro import __version__
from cai_kedro.core.asks import as_json
from cai_kedro.core.code import code_of
from cai_kedro.core.seeding import derive_seed
from cai_kedro.core.shards import Outcome, Shard, ShardParams, ShardPlan, ids_of
from cai_kedro.engines.base import TextEngine


def plan_shards(
    inputs: pd.DataFrame,
    make: Callable[[pd.DataFrame], Outcome],
    params: ShardParams,
    *,
    id_columns: Sequence[str],
    engine: TextEngine,
    decided_by: Mapping[str, Any],
    kind: str | None,
    finish: Callable[[pd.DataFrame], pd.DataFrame] = lambda rows: rows,
) -> ShardPlan:
    """Cut a table into shards by the hash of its prompt ids; `make` gets the rows of one of them.

    `inputs` has one row per id and only columns that matter. The number of shards is a power of two, so a prompt that
    is added changes one shard and, when the number doubles, none. `decided_by` names everything else that a row depends
    on, in values that JSON can hold. Added here are the model with its layout, the version, and the code: that of the
    engine and of the module where `make` is written, with every module of this package that they import.
    """
    by = "prompt_id" if "prompt_id" in inputs.columns else id_columns[0]
    shards = {
        name: Shard(tuple(ids_of(part, id_columns)), digest(part.to_dict("records")), partial(make, part))
        for name, part in _parts(inputs, by, params.prompts)
    }
    decided = {
        "model": engine.fingerprint,
        "engine": [type(engine).__name__, code_of(type(engine).__module__)],
        "code": code_of(make.__module__),
        "version": __version__,
        **decided_by,
    }
    return ShardPlan(
        ids=tuple(ids_of(inputs, id_columns)),
        id_columns=tuple(id_columns),
        shards=shards,
        decided_by={name: digest(value) for name, value in decided.items()},
        kind=kind,
        max_quarantined=params.max_quarantined,
        finish=finish,
        tokens=lambda: getattr(engine, "tokens_written", None),
    )


def _parts(inputs: pd.DataFrame, by: str, prompts: int) -> list[tuple[str, pd.DataFrame]]:
    """Return the shards that hold anything, by name; of a table without rows one that holds nothing."""
    keys = inputs[by].drop_duplicates()
    number = 1
    while number * prompts < len(keys):
        number *= 2
    shard_of = {key: derive_seed(0, "shard", key) % number for key in keys}
    if inputs.empty:
        return [("00000-of-00001", inputs)]
    parts = inputs.groupby(inputs[by].map(shard_of), sort=True)
    return [(f"{place:05d}-of-{number:05d}", part.reset_index(drop=True)) for place, part in parts]


def digest(value: Any) -> str:
    """Return the sha256 of anything that JSON can hold, pydantic models and asks included."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=_plain)
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value):
        return as_json(value)
    if hasattr(value, "tolist"):  # NumPy's scalars and arrays
        return value.tolist()
    raise TypeError(f"a shard cannot depend on a {type(value).__name__}, which has no digest")
