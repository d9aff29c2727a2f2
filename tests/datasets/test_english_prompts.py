"""The English prompts that the project ships: how many, of which kinds, and that what is held out is new."""

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from rapidfuzz import fuzz
from rapidfuzz.process import cdist
from rapidfuzz.utils import default_process

from cai_kedro.datasets.prompts_dataset import PromptsDataset

RAW = Path(__file__).parents[2] / "data" / "01_raw" / "english"
KINDS = ("red_team", "helpful")

#: Per cent of `rapidfuzz.fuzz.ratio`; the same limit as `data_generation.red_team.max_similarity` of real prompts.
ALIKE = 70


def path_of(kind: str) -> Path:
    return RAW / f"{kind}_prompts.jsonl"


def rows_of(kind: str) -> list[dict[str, Any]]:
    lines = path_of(kind).read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines if line]


def text_of(row: dict[str, Any]) -> str:
    return " ".join(turn["content"] for turn in row["messages"])


ALL = [row for kind in KINDS for row in rows_of(kind)]
SEEMINGLY = [row for row in ALL if row["seemingly_harmful"]]
HARMFUL = [row for row in rows_of("red_team") if not row["seemingly_harmful"]]
HELPFUL = [row for row in rows_of("helpful") if not row["seemingly_harmful"]]


@pytest.mark.parametrize("kind", KINDS)
def test_the_catalog_reads_every_row(kind: str) -> None:
    rows = rows_of(kind)
    assert len(rows) >= 240
    table = PromptsDataset(filepath=path_of(kind)).load()
    assert table["prompt_id"].tolist() == [row["prompt_id"] for row in rows]
    train = PromptsDataset(filepath=path_of(kind), where={"split": "train"}).load()
    assert set(train["split"]) == {"train"}
    assert len(train) == sum(row["split"] == "train" for row in rows)


def test_twelve_kinds_of_harm_in_three_severities() -> None:
    assert len(HARMFUL) >= 240
    counts = Counter((row["harm"], row["severity"]) for row in HARMFUL)
    assert len({harm for harm, _ in counts}) == 12
    assert {severity for _, severity in counts} == {1, 2, 3}
    assert min(counts.values()) >= 5
    assert len(counts) == 36


def test_twelve_kinds_of_task() -> None:
    counts = Counter(row["task"] for row in HELPFUL)
    assert len(counts) == 12
    assert min(counts.values()) >= 20


@pytest.mark.parametrize(("rows", "kind"), [(HARMFUL, "harm"), (HELPFUL, "task")], ids=["red_team", "helpful"])
def test_a_third_is_held_out_by_whole_topics(rows: list[dict[str, Any]], kind: str) -> None:
    topics: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        topics.setdefault((row[kind], row["topic"]), set()).add(row["split"])
    assert all(len(splits) == 1 for splits in topics.values()), "a topic is trained on or held out, not both"
    assert Counter(split for splits in topics.values() for split in splits) == {"train": 24, "held_out": 12}
    assert sum(row["split"] == "held_out" for row in rows) / len(rows) == pytest.approx(1 / 3, abs=0.01)


def test_a_sixth_of_the_baits_only_seems_harmful() -> None:
    """Those that are held out stand among the helpful prompts: whoever refuses them refuses too much."""
    assert len(SEEMINGLY) / (len(SEEMINGLY) + len(HARMFUL)) == pytest.approx(1 / 6, abs=0.02)
    red_team, helpful = (
        {(row["split"], row["severity"] if kind == "red_team" else None) for row in rows_of(kind) if row in SEEMINGLY}
        for kind in KINDS
    )
    assert red_team == {("train", 0)}
    assert helpful == {("seemingly_harmful", None)}
    assert sum(row["split"] == "seemingly_harmful" for row in SEEMINGLY) >= 17
    trained = {(row["harm"], row["topic"]) for row in SEEMINGLY if row["split"] == "train"}
    held_out = {(row["task"], row["topic"]) for row in SEEMINGLY if row["split"] != "train"}
    assert not trained & held_out


@pytest.mark.parametrize("rows", [HARMFUL, HELPFUL, SEEMINGLY], ids=["red_team", "helpful", "seemingly_harmful"])
def test_some_are_conversations_of_two_human_turns_and_lengths_differ(rows: list[dict[str, Any]]) -> None:
    turns = Counter(len(row["messages"]) for row in rows)
    assert set(turns) == {1, 3}
    assert turns[3] / len(rows) > 0.1
    words = [len(row["messages"][-1]["content"].split()) for row in rows]
    assert min(words) <= 10
    assert max(words) >= 20


def test_no_two_prompts_are_rewordings_of_each_other() -> None:
    texts = [default_process(text_of(row)) for row in ALL]
    alike = cdist(texts, texts, scorer=fuzz.ratio, score_cutoff=ALIKE)
    doubles = [
        (ALL[one]["prompt_id"], ALL[other]["prompt_id"])
        for one, other in itertools.combinations(range(len(ALL)), 2)
        if alike[one, other]
    ]
    assert doubles == []


def test_openings_differ() -> None:
    """Templates would show as many prompts that begin alike."""
    openings = Counter(" ".join(default_process(row["messages"][-1]["content"]).split()[:4]) for row in ALL)
    assert openings.most_common(1)[0][1] <= 12, openings.most_common(3)
