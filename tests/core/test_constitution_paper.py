"""The paper's file format, on files of our own in it and, where they are at hand, on the released ones."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cai_kedro.core.asks import Thoughts
from cai_kedro.core.constitution_paper import PAPER_FILES
from cai_kedro.core.constitution_readers import read_constitution
from cai_kedro.core.conversation import ASSISTANT, HUMAN, assistant, user
from cai_kedro.core.layouts.hh import CRITIQUE, CRITIQUE_REQUEST, REVISION, REVISION_REQUEST, text_of, worked_text
from tests.core.paths import PAPER_PROMPTS, needs_paper

INSTRUCTIONS, QUESTIONS, SHOTS, PAIRS, COTS = PAPER_FILES
COT = (
    "\n\nHuman: Consider the following conversation between a human (H) and an assistant (A):"
    "\n\nH: May I?\n\nA:  What?\n\nH: Take it.\n\n{}\n (A) [[[Grab it.]]]\n (B) [[[Ask.]]]"
    "\n\nAssistant: Let's think step by step:\n(A) is theft.\n\nSo (B).\n\nHuman:\nSo the answer is: (B)"
)
SHOT = (
    "\n\nHuman: May I?\n\nAssistant: Grab it.\n\nCritiqueRequest: Find it.\n\nCritique: Theft."
    "\n\nRevisionRequest: Fix it.\n\nRevision: Ask."
)
FILES: dict[str, Any] = {
    INSTRUCTIONS: {
        "harmful0": {
            "prompt": ["\n\nCritiqueRequest: Find the theft.\n\nCritique:"],
            "edit_request": "\n\nRevisionRequest: Take it out.\n\nRevision:",
        }
    },
    QUESTIONS: ["\nWhich is kinder? Options:", "Which is fair?"],
    SHOTS: [SHOT + "\n\nHuman:", SHOT],
    PAIRS: [
        {"prompt": "\n\nHuman: May I?\n\nAssistant:", "corrects": ["Ask."], "incorrects": ["Grab it."]},
        {"prompt": "\n\nHuman: So?", "corrects": ["Ask."], "incorrects": ["No."]},
    ],
    COTS: [{"prompt": COT}, {"prompt": COT.replace("{}", "Which is fair? Options:").lstrip()}],
}


def write(folder: Path, files: dict[str, Any]) -> Path:
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_frames_and_tails_come_off(tmp_path: Path) -> None:
    constitution = read_constitution(write(tmp_path, FILES))
    critique = constitution.critique("harmful0")
    assert (critique.critique_request, critique.revision_request) == ("Find the theft.", "Take it out.")
    assert [p.question for p in constitution.preference_principles] == ["Which is kinder?", "Which is fair?"]
    few_shots = constitution.few_shots
    assert [worked_text(shot.worked) for shot in few_shots.critiques] == [SHOT, SHOT]
    assert [shot.messages for shot in few_shots.comparisons] == [(user("May I?"),), (user("So?"),)]
    assert (few_shots.comparisons[0].better, few_shots.comparisons[0].worse) == ("Ask.", "Grab it.")
    assert few_shots.cots[0].messages == (user("May I?"), assistant("What?"), user("Take it."))
    assert few_shots.cots[0].thoughts == "(A) is theft.\n\nSo (B)."
    assert [shot.question for shot in few_shots.cots] == [None, "Which is fair?"]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (INSTRUCTIONS, [], "expected a mapping of ids to instructions, got list"),
        (INSTRUCTIONS, {}, "there is no principle"),
        (
            INSTRUCTIONS,
            {"a": {"prompt": ["x"]}},
            r"entry 'a': expected a mapping with the keys prompt, edit_request, got \['prompt'\]",
        ),
        (INSTRUCTIONS, {"a": {"prompt": "x", "edit_request": "x"}}, "entry 'a': prompt: expected a list, got str"),
        (
            INSTRUCTIONS,
            {"a": {"prompt": ["x", "y"], "edit_request": "x"}},
            "prompt: expected a list of one text, got 2",
        ),
        (
            INSTRUCTIONS,
            {"a": {"prompt": ["x"], "edit_request": " "}},
            "edit_request: expected a text that is not empty",
        ),
        (INSTRUCTIONS, {"a b": {"prompt": ["x"], "edit_request": "x"}}, r"\(id 'a b'\): id: String should match"),
        (QUESTIONS, ["x", 7], "entry 2: expected a text that is not empty, got 7"),
        (QUESTIONS, [" Options:"], r"entry 1 \(id 'preference0'\): .*the field 'question' is empty"),
        (SHOTS, [SHOT, "\n\nHuman: x"], "entry 2: expected a dialogue with CritiqueRequest"),
        (
            SHOTS,
            [SHOT.replace("\n\nAssistant: Grab it.", "")],
            "expected an assistant turn in front of CritiqueRequest",
        ),
        (SHOTS, [SHOT.replace("\n\nHuman: May I?", "hello")], "entry 1: a conversation in the Human/Assistant layout"),
        (
            PAIRS,
            [{**FILES[PAIRS][0], "prompt": "May I?"}],
            "entry 1: a conversation in the Human/Assistant layout must",
        ),
        (PAIRS, [{**FILES[PAIRS][0], "corrects": []}], "corrects: expected a list of one text, got 0"),
        (PAIRS, ["x"], "entry 1: expected a mapping with the keys prompt, corrects, incorrects, got str"),
        (COTS, [{"prompt": "x"}], "entry 1: expected a conversation of H: and A: turns"),
        (COTS, [{"prompt": COT.replace("H: Take it.\n\n", "")}], "must end on a user turn"),
    ],
)
def test_faults_name_file_and_entry(tmp_path: Path, name: str, content: Any, told: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: .*(?:{told})"):
        read_constitution(write(tmp_path, {**FILES, name: content}))


@pytest.mark.parametrize("name", [INSTRUCTIONS, QUESTIONS])
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    write(tmp_path, FILES)
    (tmp_path / name).unlink()
    with pytest.raises(ValueError, match=f"the constitution lacks {name}"):
        read_constitution(tmp_path)


@pytest.mark.parametrize(("name", "kind"), [(SHOTS, "critiques"), (PAIRS, "comparisons"), (COTS, "cots")])
def test_missing_examples_are_left_out(tmp_path: Path, name: str, kind: str) -> None:
    write(tmp_path, FILES)
    (tmp_path / name).unlink()
    few_shots = read_constitution(tmp_path).few_shots
    assert [each for each in ("critiques", "comparisons", "cots") if not getattr(few_shots, each)] == [kind]


def released(name: str) -> Any:
    return json.loads((PAPER_PROMPTS / name).read_text(encoding="utf-8"))


@needs_paper
def test_released_instructions_in_our_frames_are_the_released_strings() -> None:
    constitution = read_constitution(PAPER_PROMPTS)
    for name, entry in released(INSTRUCTIONS).items():
        ours = constitution.critique(name)
        assert f"{CRITIQUE_REQUEST} {ours.critique_request}{CRITIQUE}" == entry["prompt"][0]
        assert f"{REVISION_REQUEST} {ours.revision_request}{REVISION}" == entry["edit_request"]
    assert len(constitution.critique_principles) == len(constitution.preference_principles) == 16
    framed = [f"\n{principle.question} Options:" for principle in constitution.preference_principles]
    assert framed == released(QUESTIONS)


@needs_paper
def test_released_critique_few_shots_come_back_byte_for_byte() -> None:
    ours = read_constitution(PAPER_PROMPTS).few_shots.critiques
    assert [worked_text(shot.worked) for shot in ours] == [
        theirs.rstrip().removesuffix(HUMAN).rstrip() for theirs in released(SHOTS)
    ]


@needs_paper
def test_released_comparisons_come_back() -> None:
    for ours, theirs in zip(read_constitution(PAPER_PROMPTS).few_shots.comparisons, released(PAIRS), strict=True):
        text = worked_text(ours.worked("Q", better_first=False))
        asked = theirs["prompt"].removesuffix(ASSISTANT)
        assert f"{asked}\n\nQ Options:" in text
        assert text.endswith(
            f"\n (A) [[[{theirs['incorrects'][0]}]]]\n (B) [[[{theirs['corrects'][0]}]]]\n\nThe answer is: (B)"
        )


@needs_paper
def test_released_thoughts_come_back() -> None:
    # The released texts differ among themselves in their first line and in spaces; nothing else may differ from ours.
    ours = read_constitution(PAPER_PROMPTS).few_shots.cots
    exact = 0
    for shot, theirs in zip(ours, (entry["prompt"] for entry in released(COTS)), strict=True):
        text = worked_text(shot.worked("{}")).replace("{} Options:", "{}")
        body = [re.sub(r"\s+", " ", whole.split(":\n\nH:", 1)[1]) for whole in (text, theirs)]
        assert body[0] == body[1]
        exact += text == theirs
    assert exact >= len(ours) // 2
    first = ours[1]
    asked = text_of(Thoughts(first.messages, first.first, first.second, "{}")).replace("{} Options:", "{}")
    assert released(COTS)[1]["prompt"].startswith(asked)
