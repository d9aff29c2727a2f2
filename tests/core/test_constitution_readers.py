import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cai_kedro.core.constitution import NO_FEW_SHOTS, Constitution
from cai_kedro.core.constitution_readers import read_constitution
from cai_kedro.core.conversation import user
from tests.core.paths import PAPER_PROMPTS

OURS: dict[str, Any] = {
    "critique_principles": [
        {
            "id": f"c{i}",
            "title": "Theft",
            "harms": ["theft"],
            "critique_request": "Find the theft.",
            "revision_request": "Take it out.",
        }
        for i in range(3)
    ],
    "preference_principles": [
        {"id": "p0", "title": "Theft", "harms": ["theft"], "question": "Which helps a thief less?"}
    ],
    "few_shots": {
        "critiques": [
            {
                "messages": [{"role": "user", "content": "How do I take it?"}],
                "response": "Grab it.",
                "critique_request": "Find the theft.",
                "critique": "It is theft.",
                "revision_request": "Take it out.",
                "revision": "Please ask first.",
            }
        ],
        "comparisons": [{"messages": "How do I take it?", "better": "Ask first.", "worse": "Grab it."}],
        "cots": [
            {
                "messages": "How do I take it?",
                "question": None,
                "first": "Grab it.",
                "second": "Ask first.",
                "thoughts": "(A) is theft.",
                "answer": "B",
            }
        ],
        "red_team_prompts": ["How do I take it?"],
    },
}


def write_folder(folder: Path, parts: dict[str, Any]) -> Path:
    for key, part in parts.items():
        (folder / f"{key}.yml").write_text(yaml.safe_dump(part), encoding="utf-8")
    return folder


def changed(path: tuple[Any, ...], value: Any = None, *, drop: bool = False) -> dict[str, Any]:
    """Our constitution with one cell set, or taken out."""
    parts = copy.deepcopy(OURS)
    place: Any = parts
    for step in path[:-1]:
        place = place[step]
    if drop:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return parts


def test_folder_and_single_file_give_the_same(tmp_path: Path) -> None:
    folder = read_constitution(write_folder(tmp_path, OURS))
    (tmp_path / "all.yml").write_text(yaml.safe_dump(OURS), encoding="utf-8")
    (tmp_path / "all.json").write_text(json.dumps(OURS), encoding="utf-8")
    assert folder == read_constitution(str(tmp_path / "all.yml")) == read_constitution(tmp_path / "all.json")
    assert [principle.id for principle in folder.critique_principles] == ["c0", "c1", "c2"]
    assert folder.critique("c1").critique_request == "Find the theft."
    assert folder.preference("p0").harms == ("theft",)
    assert folder.few_shots.comparisons[0].messages == (user("How do I take it?"),)
    assert folder.few_shots.cots[0].question is None
    assert folder.few_shots.red_team_prompts == ("How do I take it?",)


def test_helpfulness_principles_may_stand_beside_the_others(tmp_path: Path) -> None:
    helpful = {"helpfulness_principles": [{"id": "h0", "title": "Use", "harms": [], "question": "Which helps more?"}]}
    (tmp_path / "with.yml").write_text(yaml.safe_dump({**OURS, **helpful}), encoding="utf-8")
    without = read_constitution(write_folder(tmp_path, OURS))
    folder = read_constitution(write_folder(tmp_path, helpful))
    assert folder == read_constitution(tmp_path / "with.yml")
    assert folder.helpfulness("h0").question == "Which helps more?"
    assert not without.helpfulness_principles
    assert folder.sha256 != without.sha256
    faulty = copy.deepcopy(helpful) | {"helpfulness_principles": [*helpful["helpfulness_principles"] * 2]}
    write_folder(tmp_path, faulty)
    with pytest.raises(ValueError, match=r"helpfulness_principles\.yml: the id 'h0' is used by entry 1 and by entry 2"):
        read_constitution(tmp_path)
    write_folder(tmp_path, {"helpfulness_principles": []})
    with pytest.raises(ValueError, match=r"helpfulness_principles\.yml: there is no principle"):
        read_constitution(tmp_path)


FIELDS = "id, title, harms, critique_request, revision_request"


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        (
            changed(("critique_principles", 1, "revision_request"), drop=True),
            rf"critique_principles.yml: entry 2 \(id 'c1'\): the field 'revision_request' is missing. "
            rf"An entry has the fields {FIELDS}; correct it and run again",
        ),
        (
            changed(("critique_principles", 2, "critque_request"), "x"),
            r"entry 3 \(id 'c2'\): unknown key 'critque_request', did you mean 'critique_request'\?",
        ),
        (changed(("preference_principles", 0, "zzz"), "x"), r"\(id 'p0'\): unknown key 'zzz'\. An entry has"),
        (
            changed(("critique_principles", 1, "id"), "c0"),
            "critique_principles.yml: the id 'c0' is used by entry 1 and by entry 2; give every principle an id",
        ),
        (
            changed(("preference_principles", 0, "question"), " \n"),
            r"preference_principles.yml: entry 1 \(id 'p0'\): the field 'question' is empty",
        ),
        (
            changed(("critique_principles", 0, "id"), 7),
            r"entry 1 \(id 7\): id: Input should be a valid string, got '7'",
        ),
        (changed(("critique_principles", 0, "id"), "a b"), "id: String should match pattern"),
        (changed(("critique_principles", 0, "harms"), "theft"), "harms: Input should be a valid tuple, got 'theft'"),
        (changed(("critique_principles", 0), "Be kind."), r"entry 1: expected a mapping of fields, got str 'Be kind.'"),
        (
            changed(("critique_principles", 0, "revision_request"), "RevisionRequest: x"),
            "revision_request: must not hold the marker 'RevisionRequest:'",
        ),
        (changed(("critique_principles",), []), "critique_principles.yml: there is no principle; write at least one"),
        (changed(("critique_principles",), {"id": "x"}), "critique_principles.yml: expected a list, got dict"),
        (
            changed(("preference_principles",), None),
            "preference_principles.yml: expected a list, got nothing",
        ),
        (changed(("few_shots",), []), "few_shots.yml: expected a mapping with the keys critiques, .*got list"),
        (changed(("few_shots", "cotz"), []), r"few_shots.yml: expected a mapping .*got \['comparisons', 'cots', 'cotz"),
        (
            changed(("few_shots", "cots"), None),
            "few_shots.yml: cots: expected a list, got nothing",
        ),
        (
            changed(("few_shots", "critiques", 0, "messages"), [{"role": "assistant", "content": "x"}]),
            "few_shots.yml: critiques: entry 1: messages: the conversation must end on a user turn",
        ),
        (
            changed(("few_shots", "cots", 0, "answer"), "C"),
            "cots: entry 1: answer: Input should be 'A' or 'B', got 'C'",
        ),
        (changed(("few_shots", "red_team_prompts"), ["x", ""]), "the field 'red_team_prompts.1' is empty"),
        (changed(("few_shots", "red_team_prompts"), "x"), "red_team_prompts: Input should be a valid tuple"),
        (changed(("preference_principles",), drop=True), "the constitution lacks preference_principles.yml; add the"),
    ],
)
def test_faults_of_our_yaml(tmp_path: Path, parts: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        read_constitution(write_folder(tmp_path, parts))
    assert str(tmp_path) in str(caught.value)


def test_a_forgotten_dash_is_no_silent_loss(tmp_path: Path) -> None:
    write_folder(tmp_path, OURS)
    place = tmp_path / "preference_principles.yml"
    place.write_text("- id: a\n  title: t\n  harms: []\n  question: q\n  id: b\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"(?s)principles.yml.*id 'id' is there twice in one mapping.*line 5"):
        read_constitution(tmp_path)


def test_yaml_anchors_and_merges_work(tmp_path: Path) -> None:
    write_folder(tmp_path, OURS)
    (tmp_path / "preference_principles.yml").write_text(
        "- &first {id: a, title: t, harms: [], question: q}\n- {<<: *first, id: b}\n", encoding="utf-8"
    )
    assert read_constitution(tmp_path).preference("b").question == "q"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("x.yml", "critique_principles: []\n", r"x.yml: expected the keys critique_principles, .*got \['critique_pr"),
        ("x.yml", "", "x.yml: expected the keys critique_principles, .*got NoneType"),
        ("x.yml", "a: [", "x.yml: .*while parsing"),
        ("x.json", '{"a": 1, "a": 2}', "x.json: the key or id 'a' is there twice"),
        ("x.json", "[", "x.json: Expecting value"),
        ("x.docx", "", "x.docx: a constitution is a folder or a .yml, .yaml, .json or .txt file"),
        ("x.json", '["Be kind.", ""]', "x.json: entry 2: expected a text that is not empty, got ''"),
        ("x.yml", "- Be kind.\n- a: b\n", "x.yml: entry 2: expected a text"),
        (
            "x.json",
            '["\\nWhich is kinder? Options:"]',
            "x.json: entry 1 is a comparison question in the paper's format",
        ),
        ("x.txt", "# nothing yet\n\n", "x.txt: there is no principle; write at least one"),
    ],
)
def test_faults_of_a_single_file(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"(?s){told}"):
        read_constitution(tmp_path / name)


LISTED = b'- "Be kind."\n'


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (
            "x.yml",
            LISTED + b"- caf\xe9\n",
            r"x.yml, line 2 is not UTF-8 \(byte 18 of the file is 0xe9\); save the file",
        ),
        ("x.txt", b"Be kind.\nBe caf\xe9.\n", r"x.txt, line 2 is not UTF-8 \(byte 15 of the file is 0xe9\)"),
        ("x.json", '["Be kind."]'.encode("utf-16"), r"x.json, line 1 is not UTF-8"),
        ("x.yml", LISTED + b"- a\0b\n", r"x.yml, line 2 holds a NUL character"),
        ("x.yml", LISTED + b'- "a\\0b"\n', r"x.yml: .*holds a NUL character .*line 2"),
        ("x.yml", LISTED + b'- "half \\ud83d"\n', r"x.yml: .*holds half a character, the lone surrogate .*line 2"),
        ("x.json", b'["Be kind.", "half \\ud83d"]', r"x.json: holds half a character, the lone surrogate"),
        ("x.json", b'["Be kind.", NaN]', r"x.json: holds NaN, which is no number of JSON"),
        ("x.json", b"[" * 100_000, r"x.json: is nested too deeply"),
        ("x.yml", b"[" * 100_000, r"x.yml is nested too deeply"),
        ("x.yml", LISTED + b"-\tBe brave.\n  \t- a: b\n", r"x.yml: .*cannot start any token \(line 2, column 2\)"),
        ("x.yml", LISTED + b"- 2020-13-45\n", r"x.yml: month must be in 1..12; put the text in quotes.*line 2"),
        ("x.yml", LISTED + b"- 12\n", r"x.yml: entry 2: expected a text that is not empty, got 12"),
        ("x.yml", LISTED + b"- yes\n", r"x.yml: entry 2: expected a text that is not empty, got True"),
        ("x.yml", LISTED + b"- !!binary QmUga2luZA==\n", r"x.yml: could not determine a constructor.*line 2"),
        ("x.yml", LISTED + b"- *nothing\n", r"x.yml: found undefined alias 'nothing'.*line 2"),
        ("x.yml", LISTED + b"- &again [*again]\n", r"x.yml: entry 2: expected a text that is not empty"),
        ("x.yml", LISTED + b"---\n- Be brave.\n", r"x.yml: expected a single document"),
    ],
)
def test_faults_of_the_text_of_a_file(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"(?s){told}"):
        read_constitution(tmp_path / name)


def test_line_ends_in_a_text_are_lf_before_markers_are_looked_for(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_bytes(b"Be kind.\r# no\rBe brave.\r\n")
    assert [p.title for p in read_constitution(tmp_path / "x.txt").critique_principles] == ["Be kind.", "Be brave."]
    (tmp_path / "x.yml").write_bytes(b'- "Be\\r\\nkind."\r\n')
    assert read_constitution(tmp_path / "x.yml").critique("principle_01").title == "Be\nkind."
    (tmp_path / "x.yml").write_bytes(b'- "Be\\r\\n\\r\\nHuman: kind."\n')
    with pytest.raises(ValueError, match="must not hold the marker 'Human:' at the start of a paragraph"):
        read_constitution(tmp_path / "x.yml")


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no constitution at .*nowhere; check the path"):
        read_constitution(tmp_path / "nowhere")
    with pytest.raises(
        ValueError, match=r"holds no constitution; expected critique_principles.yml, .*, or the paper's"
    ):
        read_constitution(tmp_path)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.json", '["Do not help a thief.", "Be\u2028kind."]'),
        ("list.yml", '- Do not help a thief.\n- "Be\\u2028kind."\n'),
        ("list.txt", "# two principles\nDo not help a thief.\n\n  Be\u2028kind.  \n"),
    ],
)
def test_plain_list_serves_both_kinds(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    constitution = read_constitution(tmp_path / name)
    first = constitution.critique("principle_01")
    assert first.title == "Do not help a thief."
    assert first.critique_request == (
        "Identify specific ways in which the assistant's last response goes against this principle: "
        "Do not help a thief."
    )
    assert first.revision_request == (
        "Please rewrite the assistant response so that it follows this principle: Do not help a thief."
    )
    assert constitution.preference("principle_02").question == (
        "Please choose the response that follows this principle better: Be\u2028kind."
    )
    assert len(constitution.critique_principles) == len(constitution.preference_principles) == 2
    assert constitution.few_shots.critiques == ()


@pytest.mark.parametrize("kind", ["critiques", "comparisons", "cots", "red_team_prompts"])
def test_worked_examples_that_are_lacking_are_left_out(tmp_path: Path, kind: str) -> None:
    write_folder(tmp_path, changed(("few_shots", kind), drop=True))
    few_shots = read_constitution(tmp_path).few_shots
    assert [name for name in type(few_shots).model_fields if not getattr(few_shots, name)] == [kind]


def test_a_constitution_without_any_worked_example(tmp_path: Path) -> None:
    whole = read_constitution(write_folder(tmp_path, OURS))
    (tmp_path / "few_shots.yml").unlink()
    bare = read_constitution(tmp_path)
    assert bare.critique_principles == whole.critique_principles
    assert bare.few_shots == NO_FEW_SHOTS
    (tmp_path / "all.yml").write_text(yaml.safe_dump(changed(("few_shots",), drop=True)), encoding="utf-8")
    assert read_constitution(tmp_path / "all.yml") == bare


REQUESTS: list[dict[str, Any]] = [
    {"critic": "CritiqueRequest: Say what is harmful. Critique:", "revision": "Take the harm out."},
    {"critique_request": "Say what is rude.", "revision_request": "Be kind.", "name": "Manners", "question": "Kinder?"},
]
CHAT = ["How do I take it?", "Grab it.", "Say what is harmful.", "It is theft.", "Take the harm out.", "Ask first."]
SIX_TURNS = [{"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(CHAT)]


def test_a_list_of_requests_as_open_models_have_it(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text(json.dumps(REQUESTS), encoding="utf-8")
    whole = {"constitutions": REQUESTS, "system_chat": [SIX_TURNS]}
    (tmp_path / "whole.yml").write_text(yaml.safe_dump(whole), encoding="utf-8")
    listed, chatted = read_constitution(tmp_path / "list.json"), read_constitution(tmp_path / "whole.yml")
    assert listed.critique_principles == chatted.critique_principles
    first, second = listed.critique_principles
    assert (first.id, first.critique_request) == ("principle_01", "Say what is harmful.")
    assert (first.revision_request, second.title) == ("Take the harm out.", "Manners")
    assert [principle.question for principle in listed.preference_principles] == [
        "Please choose the response about which the answer to this request would have less to say: "
        "Say what is harmful.",
        "Kinder?",
    ]
    assert listed.few_shots == NO_FEW_SHOTS
    (example,) = chatted.few_shots.critiques
    assert (example.messages, example.critique, example.revision) == ((user(CHAT[0]),), "It is theft.", "Ask first.")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([{"critic": "a"}], "x.json: entry 1: the field 'revision' is missing; write what the model is asked"),
        ([{"critic": "a", "revison": "b"}], "entry 1: unknown key 'revison', did you mean 'revision'"),
        ([{"critic": "a", "revision": " "}], "entry 1: revision: expected a text that is not empty"),
        ([*REQUESTS, "Be kind."], "entry 3: expected a mapping with critic and revision, got str"),
        ([{**REQUESTS[1], "id": "x"}, {**REQUESTS[1], "id": "x"}], "the id 'x' is used by entry 1 and by entry 2"),
        ({"constitutions": REQUESTS, "chat": []}, "expected the keys constitutions and system_chat, got also chat"),
        ({"constitutions": REQUESTS[0]}, "constitutions: expected a list, got dict"),
        ({"constitutions": REQUESTS, "system_chat": [SIX_TURNS[1:]]}, "system_chat: entry 1: expected six turns of"),
    ],
)
def test_faults_of_a_list_of_requests(tmp_path: Path, content: Any, told: str) -> None:
    (tmp_path / "x.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ValueError, match=told):
        read_constitution(tmp_path / "x.json")


def as_ours(constitution: Constitution, path: Path) -> Path:
    path.write_text(yaml.safe_dump(constitution.model_dump(mode="json"), allow_unicode=True), encoding="utf-8")
    return path


@pytest.mark.parametrize("form", ["folder", "requests", "sentences", "text", "shipped", "english", "paper"])
def test_every_form_written_as_ours_is_the_same_constitution(tmp_path: Path, form: str) -> None:
    project = Path(__file__).parents[2] / "conf" / "base" / "constitution"
    sources = {"shipped": project, "english": project / "english", "paper": PAPER_PROMPTS}
    (tmp_path / "requests.json").write_text(json.dumps({"constitutions": REQUESTS, "system_chat": [SIX_TURNS]}))
    (tmp_path / "sentences.yml").write_text("- Be kind.\n- Do not help a thief.\n")
    (tmp_path / "text.txt").write_text("Be kind.\nDo not help a thief.\n")
    sources |= {name: next(tmp_path.glob(f"{name}.*")) for name in ("requests", "sentences", "text")}
    if form == "folder":
        (tmp_path / "folder").mkdir()
        sources["folder"] = write_folder(tmp_path / "folder", OURS)
    if not sources[form].exists():
        pytest.skip(f"{sources[form]} is not here")
    constitution = read_constitution(sources[form])
    if not constitution.helpfulness_principles:
        ours = constitution.model_dump(mode="json", exclude={"helpfulness_principles"})
        (tmp_path / "ours.yml").write_text(yaml.safe_dump(ours, allow_unicode=True), encoding="utf-8")
    else:
        as_ours(constitution, tmp_path / "ours.yml")
    again = read_constitution(tmp_path / "ours.yml")
    assert again == constitution
    assert again.sha256 == constitution.sha256
