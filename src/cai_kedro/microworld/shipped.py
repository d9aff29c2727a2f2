"""The micro LM that comes with the package, and how it got there.

`python -m cai_kedro.microworld.shipped CHECKPOINT CURVES` puts the checkpoint that `kedro run --pipelines=base_model`
with `source: micro` trained into the package, with its training log and a fingerprint of all that made it.
"""

import hashlib
import json
import shutil
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd

from cai_kedro.core.code import files_digest
from cai_kedro.microworld.pretraining import PretrainingParams

TRAINING_LOG = "training_log.csv"
FINGERPRINT = "fingerprint.json"
_MODEL_FILES = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
_OPTIONAL_FILES = ("chat_template.jinja", "special_tokens_map.json")
#: All that decides what the micro LM learns.
_SOURCES = (
    "core/asks.py",
    "core/conversation.py",
    "core/layouts/base.py",
    "core/layouts/hh.py",
    "core/seeding.py",
    "microworld/acts.py",
    "microworld/criteria.py",
    "microworld/curriculum.py",
    "microworld/documents.py",
    "microworld/finding.py",
    "microworld/lean_llama.py",
    "microworld/lexicon.py",
    "microworld/lexicon.yml",
    "microworld/muon.py",
    "microworld/packing.py",
    "microworld/pretraining.py",
    "microworld/principles.py",
    "microworld/quizzes.py",
    "microworld/replies.py",
    "microworld/rule_documents.py",
    "microworld/spans.py",
    "microworld/token_loss.py",
    "microworld/tokenizer.py",
)


def shipped_directory() -> Path:
    """Return the directory of the micro LM in the package."""
    return Path(str(files("cai_kedro.microworld").joinpath("micro_lm")))


def training_log() -> pd.DataFrame:
    """Return the loss along the training of the shipped model (`curves`: step, metric, value)."""
    return pd.read_csv(shipped_directory() / TRAINING_LOG)


def code_digest() -> str:
    """Return the sha256 of the code and the lexicon that decide what the micro LM learns; docstrings do not count."""
    return files_digest(_SOURCES)


def fingerprint(params: PretrainingParams, seed: int, weights: Path) -> dict[str, Any]:
    """Return what identifies a shipped model: code, lexicon, seed, parameters and weights."""
    return {
        "code": code_digest(),
        "weights": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "seed": seed,
        "params": params.model_dump(),
    }


def ship(checkpoint: Path, curves: Path, params: PretrainingParams, seed: int) -> None:
    """Copy a trained checkpoint into the package, with its log (Parquet in, CSV out) and fingerprint."""
    target = shipped_directory()
    target.mkdir(exist_ok=True)
    for name in (*_MODEL_FILES, *_OPTIONAL_FILES):
        if name in _MODEL_FILES or (checkpoint / name).is_file():
            shutil.copyfile(checkpoint / name, target / name)
    pd.read_parquet(curves).to_csv(target / TRAINING_LOG, index=False, float_format="%.5f")
    told = fingerprint(params, seed, target / "model.safetensors")
    (target / FINGERPRINT).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    given = json.loads(sys.argv[3])
    ship(Path(sys.argv[1]), Path(sys.argv[2]), PretrainingParams(**given["params"]), given["seed"])
