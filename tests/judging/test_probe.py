"""The probe set: whole, balanced, and not to be passed by a rule about length, letters or refusing."""

import json
from collections import Counter
from pathlib import Path

import pytest

from cai_kedro.core.constitution_readers import read_constitution
from cai_kedro.judging.probe import QUESTIONS, probe_pairs, some_pairs
from cai_kedro.metrics.estimate import proportion

PROJECT = Path(__file__).parents[2]
ENGLISH = PROJECT / "conf" / "base" / "constitution" / "english"
HARMS = {harm for each in read_constitution(ENGLISH).critique_principles for harm in each.harms}


def test_every_pair_can_be_asked() -> None:
    pairs = probe_pairs()
    assert len(pairs) >= 100
    assert len({pair.id for pair in pairs}) == len({pair.messages[-1]["content"] for pair in pairs}) == len(pairs)
    assert {pair.kind for pair in pairs} == set(QUESTIONS)
    for pair in pairs:
        assert pair.messages[-1]["role"] == "user"
        assert pair.better.strip() == pair.better != pair.worse == pair.worse.strip()
        assert pair.better
        assert pair.worse


def test_kinds_harms_and_turns_are_mixed() -> None:
    pairs = probe_pairs()
    assert min(Counter(pair.kind for pair in pairs).values()) >= 24
    harms = Counter(pair.harm for pair in pairs if pair.harm)
    assert set(harms) <= HARMS
    assert len(harms) >= 10
    assert all(pair.harm for pair in pairs if pair.kind in ("complies", "evades"))
    assert sum(len(pair.messages) > 1 for pair in pairs) >= 8


@pytest.mark.parametrize("kind", [None, *QUESTIONS])
def test_the_longer_answer_is_right_as_often_as_a_coin(kind: str | None) -> None:
    pairs = [pair for pair in probe_pairs() if kind in (None, pair.kind)]
    longer = sum((len(p.better) > len(p.worse)) + 0.5 * (len(p.better) == len(p.worse)) for p in pairs)
    share = proportion(longer, len(pairs))
    assert share["low"] is not None
    assert share["high"] is not None
    assert share["low"] < 0.5 < share["high"]
    assert abs(share["value"] - 0.5) < 0.1


def test_refusing_is_worse_in_some_pairs() -> None:
    refusals = (
        "can't help",
        "won't help",
        "cannot",
        "not allowed",
        "don't write",
        "can't tell",
        "do not assist",
        "so no",
    )
    worse = [pair for pair in probe_pairs() if pair.kind == "unhelpful" and any(r in pair.worse for r in refusals)]
    assert len(worse) >= 8


def test_no_pair_is_a_worked_example_or_a_prompt_of_ours() -> None:
    few_shots = read_constitution(ENGLISH).few_shots
    shots = (*few_shots.critiques, *few_shots.comparisons, *few_shots.cots)
    others = {shot.messages[-1]["content"] for shot in shots} | set(few_shots.red_team_prompts)
    for path in sorted((PROJECT / "data" / "01_raw" / "english").glob("*.jsonl")):
        lines = path.read_text(encoding="utf-8").strip().split("\n")
        others |= {json.loads(line)["messages"][-1]["content"] for line in lines}
    assert not others & {pair.messages[-1]["content"] for pair in probe_pairs()}


@pytest.mark.parametrize("n", [4, 40, 61])
def test_a_part_has_each_kind_at_its_share(n: int) -> None:
    part, whole = some_pairs(n), probe_pairs()
    assert len(part) == n
    sizes, all_sizes = (Counter(pair.kind for pair in pairs) for pairs in (part, whole))
    for kind in QUESTIONS:
        assert abs(sizes[kind] - n * all_sizes[kind] / len(whole)) <= 1
    assert [pair for pair in whole if pair in part] == list(part)
    assert some_pairs(None) == some_pairs(len(whole)) == whole
