"""Answers with labels of how they behave: our own, SmolLM2's, and public ones, of which only labels are kept here."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from cai_kedro.core.conversation import Message, user

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
PUBLIC = PROJECT.parent / "shared" / "data"
HH_RLHF = PUBLIC / "hh_rlhf" / "harmless-base-test.jsonl.gz"
SAMPLES = PUBLIC / "cai_paper" / "samples"

needs_public_answers = pytest.mark.skipif(
    not (HH_RLHF.is_file() and SAMPLES.is_dir()), reason=f"the public answers are not at {PUBLIC}"
)


def own_answers() -> pd.DataFrame:
    """Columns `set` (tuning, test), `hand`, `messages`, `response`, `behaviour`."""
    conversations = {row["prompt_id"]: row["messages"] for row in _rows_of_prompts()}
    rows = _json_lines((HERE / "labelled_answers.jsonl").read_text(encoding="utf-8"))
    return pd.DataFrame([{**row, "messages": conversations[row["prompt_id"]]} for row in rows])


def public_answers() -> pd.DataFrame:
    """The same columns, of answers that are found again by the digest of conversation and answer."""
    labels = json.loads((HERE / "labels_of_released_answers.json").read_text(encoding="utf-8"))
    rows = {}
    for conversation, response in [*_hh_rlhf(), *_samples()]:
        key = hashlib.blake2b(f"{conversation}\x1f{response}".encode(), digest_size=8).hexdigest()
        for name, of in labels.items():
            if key in of:
                rows[key] = {
                    "set": name,
                    "messages": _last_turn(conversation),
                    "response": response,
                    "behaviour": of[key],
                }
    return pd.DataFrame(list(rows.values())).assign(hand="public")


def _rows_of_prompts() -> Iterator[dict]:
    for name in ("red_team", "helpful"):
        path = PROJECT / "data" / "01_raw" / "english" / f"{name}_prompts.jsonl"
        yield from _json_lines(path.read_text(encoding="utf-8"))


def _json_lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def _hh_rlhf() -> Iterator[tuple[str, str]]:
    with gzip.open(HH_RLHF, "rt", encoding="utf-8") as file:
        for row in _json_lines(file.read()):
            for side in ("chosen", "rejected"):
                conversation, _, response = row[side].rpartition("\n\nAssistant:")
                yield conversation, response.strip()


def _samples() -> Iterator[tuple[str, str]]:
    for path in sorted(SAMPLES.glob("*RL*.jsonl")):
        for row in _json_lines(path.read_text(encoding="utf-8")):
            for sample in row.get("sampled_answers", [])[:2]:
                text = sample["sampled_string"]
                for tail in ("\n\nHuman:", "\nHuman:", "<EOT>", "<META_START>"):
                    text = text.partition(tail)[0]
                yield row["rl_prompt"].strip(), text.strip()


def _last_turn(conversation: str) -> list[Message]:
    return [user(conversation.rpartition("Human:")[2].partition("Assistant:")[0].strip())]
