"""The answers that the paper's authors released, read beside the repository; nothing of them is kept here."""

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

from cai_kedro.core.text import words_of

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "cai_paper" / "samples"
TAILS = ("\n\nHuman:", "\nHuman:", "<EOT>", "<META_START>")
POLICIES = ("HHRLHF", "HRLHF", "RLMADISON", "RLMADISON_COT")

needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"the paper's released answers are not at {SAMPLES}")


def half_of(prompt: str) -> str:
    """The half a prompt is in: rules were made on `development` alone, and `test` was scored once they were frozen."""
    return "development" if hashlib.blake2b(prompt.encode(), digest_size=8).digest()[0] % 2 == 0 else "test"


def released_answers() -> pd.DataFrame:
    """Columns `half`, `policy`, `prompt_id`, `sample`, `response`, `words`; 17 answers a prompt and policy."""
    rows = []
    for family in ("LAMDA", "PALMS"):
        for policy in POLICIES:
            lines = (SAMPLES / f"{family}_{policy}.jsonl").read_text(encoding="utf-8").split("\n")
            for record in (json.loads(line) for line in lines if line.strip()):
                prompt = record["rl_prompt"].strip()
                answers = [_answer(found["sampled_string"]) for found in record["sampled_answers"]]
                rows += [(half_of(prompt), policy, prompt, sample, text) for sample, text in enumerate(answers)]
    table = pd.DataFrame(rows, columns=["half", "policy", "prompt_id", "sample", "response"])
    return table.assign(words=[len(words_of(text)) for text in table["response"]])


def cut_to(text: str, words: int) -> str:
    """The first words of an answer, so that it is as long as another one."""
    return " ".join(text.split()[:words])


def _answer(text: str) -> str:
    for tail in TAILS:
        text = text.partition(tail)[0]
    return text.strip()
