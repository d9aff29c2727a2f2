"""Finished shards on disk: a Parquet file, and a manifest that says what it is."""

import hashlib
import io
import json
import logging
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cai_kedro.core.durable import remove_parts
from cai_kedro.core.shards import Outcome, ShardPlan, quarantine_table
from cai_kedro.datasets.arrow import from_arrow, to_arrow
from cai_kedro.datasets.durable import write_durably

logger = logging.getLogger(__name__)

#: The field of a manifest that has the sha256 of all others.
_SEAL = "manifest_sha256"
_NAME = 12  # digits of a digest in a file's name; the manifest has all of them


class ShardStore:
    """The shards of one plan, in a folder that is named by all that decides them.

    A shard exists when its manifest says so and its bytes are those that the manifest names. Other plans have other
    folders, so what was made before a change is there when the change is taken back.
    """

    def __init__(self, folder: Path, plan: ShardPlan) -> None:
        self._plan = plan
        decided = json.dumps(dict(plan.decided_by), sort_keys=True)
        self._fingerprint = hashlib.sha256(decided.encode()).hexdigest()
        self._folder = folder / self._fingerprint[:_NAME]
        self._folder.mkdir(parents=True, exist_ok=True)
        remove_parts(self._folder)

    def read(self, name: str) -> Outcome | None:
        """Return a finished shard, None if it has to be made; says so if there is one that is damaged."""
        file, manifest = self._files(name)
        if not (file.exists() or manifest.exists()):
            return None
        try:
            return self._verified(name)
        except (ValueError, OSError, pa.ArrowException) as fault:
            logger.warning("%s: %s; this shard is made again", file, fault)
            return None

    def write(self, name: str, outcome: Outcome) -> Outcome:
        """Write a shard, its manifest last, and return it as it is read back."""
        file, manifest = self._files(name)
        manifest.unlink(missing_ok=True)
        content = _parquet(outcome.rows)
        write_durably(file, content)
        told = self._told(
            name, len(outcome.rows), hashlib.sha256(content).hexdigest(), outcome.quarantine.to_dict("records")
        )
        write_durably(manifest, (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode())
        return self._verified(name)

    def _verified(self, name: str) -> Outcome:
        """Read a shard; raises `ValueError` that says what is wrong with it."""
        file, manifest = self._files(name)
        if not manifest.exists():
            raise ValueError("there is no manifest beside it, so it was not finished")
        try:
            told: Any = json.loads(manifest.read_bytes())
        except (ValueError, RecursionError) as error:
            raise ValueError("its manifest is not whole") from error
        if not isinstance(told, dict) or told.get(_SEAL) != _seal(told):
            raise ValueError("its manifest is not whole")
        if any(told.get(key) != value for key, value in self._identity(name).items()):
            raise ValueError("its manifest is that of another shard")
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest() != told["sha256"]:
            raise ValueError("its content is not what its manifest says (sha256 differs), so it is damaged")
        rows = from_arrow(pq.read_table(io.BytesIO(content)))
        return Outcome(rows, quarantine_table({row["id"]: row["reason"] for row in told["quarantine"]}))

    def _told(self, name: str, rows: int, sha256: str, quarantine: list[dict[Any, Any]]) -> dict[str, Any]:
        """Return what a manifest holds."""
        decided_by = dict(self._plan.decided_by)
        made = {"ids": len(self._plan.shards[name].ids), "rows": rows, "sha256": sha256, "quarantine": quarantine}
        told = {**self._identity(name), **made, "decided_by": decided_by}
        return {**told, _SEAL: _seal(told)}

    def _identity(self, name: str) -> dict[str, str]:
        return {"shard": name, "fingerprint": self._fingerprint, "inputs": self._plan.shards[name].inputs}

    def _files(self, name: str) -> tuple[Path, Path]:
        stem = f"{name}.{self._plan.shards[name].inputs[:_NAME]}"
        return self._folder / f"{stem}.parquet", self._folder / f"{stem}.json"


def _seal(told: dict[str, Any]) -> str:
    """Return the sha256 of a manifest without its seal."""
    rest = {key: value for key, value in told.items() if key != _SEAL}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(to_arrow(table), buffer)
    return buffer.getvalue()
