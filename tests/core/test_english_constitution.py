"""Our English constitution: complete, in our own words, its examples balanced and none of them a prompt of ours."""

import json
import re
from pathlib import Path

import pytest

from cai_kedro.core.constitution import Constitution
from cai_kedro.core.constitution_readers import read_constitution
from tests.core.paths import PAPER_PROMPTS, needs_paper

PROJECT = Path(__file__).parents[2]
ENGLISH = PROJECT / "conf" / "base" / "constitution" / "english"


@pytest.fixture(scope="module")
def english() -> Constitution:
    return read_constitution(ENGLISH)


def _questions(constitution: Constitution) -> list[str]:
    return [
        principle.question for principle in (*constitution.preference_principles, *constitution.helpfulness_principles)
    ]


def _principles(constitution: Constitution) -> list[str]:
    requests = [(each.critique_request, each.revision_request) for each in constitution.critique_principles]
    return [text for pair in requests for text in pair] + _questions(constitution)


def _runs(text: str, n: int) -> set[tuple[str, ...]]:
    words = re.findall(r"[a-z']+", text.lower())
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def test_it_has_all_that_a_run_reads(english: Constitution) -> None:
    assert len(english.critique_principles) == len(english.preference_principles) == 16
    assert len(english.helpfulness_principles) >= 4
    few_shots = english.few_shots
    assert len(few_shots.critiques) >= 4
    assert len(few_shots.comparisons) >= 4
    assert len(few_shots.cots) >= 3
    assert len(few_shots.red_team_prompts) >= 4
    assert len(set(_principles(english))) == 16 * 3 + len(english.helpfulness_principles)


def test_most_principles_name_a_harm_and_every_harm_is_named_by_both_kinds(english: Constitution) -> None:
    in_critiques = {harm for each in english.critique_principles for harm in each.harms}
    in_comparisons = {harm for each in english.preference_principles for harm in each.harms}
    assert in_critiques == in_comparisons
    assert len(in_critiques) == 12
    assert sum(not each.harms for each in english.critique_principles) == 4  # manner


def test_examples_are_critiqued_under_principles_of_its_own(english: Constitution) -> None:
    own = {(each.critique_request, each.revision_request) for each in english.critique_principles}
    assert all((shot.critique_request, shot.revision_request) in own for shot in english.few_shots.critiques)
    assert all(shot.question in _questions(english) for shot in english.few_shots.cots)


def test_letters_lengths_and_turns_give_nothing_away(english: Constitution) -> None:
    few_shots = english.few_shots
    assert [shot.answer for shot in few_shots.cots].count("A") * 2 == len(few_shots.cots)
    longer = sum(len(shot.better) > len(shot.worse) for shot in few_shots.comparisons)
    assert 0 < longer < len(few_shots.comparisons)
    for shots in (few_shots.critiques, few_shots.comparisons, few_shots.cots):
        assert any(len(shot.messages) > 1 for shot in shots), "one example has an earlier turn"


def test_no_example_is_a_prompt_of_training_or_evaluation(english: Constitution) -> None:
    few_shots = english.few_shots
    shots = (*few_shots.critiques, *few_shots.comparisons, *few_shots.cots)
    examples = {shot.messages[-1]["content"] for shot in shots} | set(few_shots.red_team_prompts)
    assert len(examples) == len(shots) + len(few_shots.red_team_prompts)
    for path in sorted((PROJECT / "data" / "01_raw" / "english").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").strip().split("\n"):
            row = json.loads(line)
            prompt = row["messages"][-1]["content"] if "messages" in row else row.get("prompt")
            assert prompt not in examples, f"{path.name} shares a prompt with few_shots.yml"


@needs_paper
def test_no_seven_words_in_a_row_are_the_papers(english: Constitution) -> None:
    paper = read_constitution(PAPER_PROMPTS)
    theirs = {run for text in _principles(paper) for run in _runs(text, 7)}
    assert len(theirs) > 300
    shared = {run for text in _principles(english) for run in _runs(text, 7)} & theirs
    assert not shared
