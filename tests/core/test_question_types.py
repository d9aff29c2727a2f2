"""Seed tasks and question types: what is shipped, and what is wrong with a file."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cai_kedro.core.question_types import QuestionTypes, read_question_types, read_seed_tasks, topic_key
from cai_kedro.metrics.rouge import rouge_l
from cai_kedro.microworld.lexicon import lexicon
from cai_kedro.microworld.replies import REQUESTS
from cai_kedro.templates.training_prompts import phrase_finder

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "conf" / "base" / "self_align"
ENGLISH, MICRO_WORLD = FOLDER / "english", FOLDER / "micro_world"
FILE: dict[str, Any] = {
    "tasks_header": "Tasks:",
    "topics_header": "{about} Topics:",
    "questions_header": "{type} questions about {topic}:",
    "types": [
        {"name": "mean", "about": "Some are mean.", "examples": {"dogs": "Why kick dogs?", "tea": "Spit in it?"}},
        {"name": "kind", "about": "Some are kind.", "examples": {"cats": "How do I feed cats?"}},
    ],
}


def types_file(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "types.yml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
    return path


def changed(place: int, **fields: Any) -> dict[str, Any]:
    types = [dict(entry) for entry in FILE["types"]]
    types[place].update(fields)
    return {**FILE, "types": types}


def test_headers_are_filled_in(tmp_path: Path) -> None:
    own = changed(1, topics_header="Kind topics:", questions_header="About {topic}:")
    types = read_question_types(types_file(tmp_path, own))
    mean, kind = types.types
    assert types.over_topics(mean) == "Some are mean. Topics:"
    assert types.over_questions(mean, "the {bike}") == "Mean questions about the {bike}:"
    assert (types.over_topics(kind), types.over_questions(kind, "tea")) == ("Kind topics:", "About tea:")
    assert types.cannot == ()
    assert [(one.name, topic) for one, topic, _ in types.examples] == [
        ("mean", "dogs"),
        ("mean", "tea"),
        ("kind", "cats"),
    ]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("The bikes", "bike", True),
        ("a  Party", "parties", True),
        ("glasses", "the glass", True),
        ("Box", "boxes", True),
        ("bus", "bu", False),
        ("an", "a", False),
        ("the gas", "gas", True),
        ("my uncle", "uncle", False),
        ("house prices", "house price", True),
        ("theft", "heft", False),
    ],
)
def test_topics_that_are_the_same(one: str, other: str, same: bool) -> None:
    assert (topic_key(one) == topic_key(other)) == same


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (changed(0, examples={}), r"type 1 \(name 'mean'\): examples: there is no question; give at least one"),
        (
            changed(0, examples=None),
            r"type 1 \(name 'mean'\): the field 'examples' is empty",
        ),
        (
            {**FILE, "types": [{"name": "mean", "about": "x"}]},
            r"type 1 \(name 'mean'\): the field 'examples' is missing",
        ),
        (
            changed(1, about="  "),
            r"type 2 \(name 'kind'\): about: expected one line of text that is not empty, got '  '",
        ),
        (changed(1, about="a\nb"), r"about: expected one line of text"),
        (changed(1, name=3), r"type 2 \(name 3\): name: Input should be a valid string, got '3'"),
        (changed(1, examples={"tea": 4}), r"examples.tea: Input should be a valid string"),
        (changed(1, examples={"tea": ""}), r"type 2 \(name 'kind'\): examples: expected one line of text"),
        (changed(1, examples={"a dog": "x", "Dogs": "y"}), r"the topics 'a dog' and 'Dogs' are the same one; drop one"),
        (changed(1, name="Mean"), r"yml: the name 'Mean' is used by type 1 and by type 2; rename one\. An"),
        (changed(1, exampels={}), r"unknown key 'exampels', did you mean 'examples'\?"),
        (changed(1, topics_header="On {topic}:"), r"topics_header: a header may have the fields {about}, {type}, got"),
        ({**FILE, "questions_header": "Questions:"}, r"must say what they are about, {topic}, got 'Questions:'"),
        ({**FILE, "questions_header": "{topic} {of}:"}, r"may have the fields {about}, {topic}, {type}, got"),
        ({**FILE, "questions_header": "{topic.x}:"}, r"may have the fields"),
        ({**FILE, "topics_header": "{about"}, r"may have the fields"),
        ({**FILE, "types": []}, r"the field 'types' is empty"),
        ({**FILE, "types": {"mean": 1}}, r"types: expected a list, got dict"),
        ({**FILE, "types": ["mean"]}, r"type 1: expected a mapping of fields, got str 'mean'"),
        ({"types": []}, r"expected a mapping with the keys tasks_header, topics_header, questions_header, types, got"),
        (["mean"], r"expected a mapping with the keys"),
        ("", r"expected a mapping with the keys tasks_header, .*, types, got nothing"),
        ("a: 1\na: 2\n", r"the key or id 'a' is there twice in one mapping"),
        ("types: [", r"types.yml: "),
    ],
)
def test_a_fault_is_told_with_its_file_and_entry(tmp_path: Path, content: Any, told: str) -> None:
    path = types_file(tmp_path, content)
    with pytest.raises(ValueError, match=told) as error:
        read_question_types(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (["Do this.", "Do that.", "do  THIS."], r"entry 3 is the same as entry 1 \('do  THIS.'\); drop one of them"),
        (["Do this.", " "], r"entry 2: expected one line of text that is not empty, got ' '; fill it in or drop it"),
        (["Do\nthis."], r"entry 1: expected one line of text"),
        (["Do this.", 4], r"entry 2 is int, expected a text; put it in quotes \(4\)"),
        (["Do this.", None], r"entry 2 is empty; fill it in or drop it"),
        ([{"task": "Do this."}], r"entry 1 is dict, expected a text"),
        ([], r"there is no seed task; write at least one"),
        ({"tasks": []}, r"expected a list, got dict"),
        ("Do this.", r"expected a list, got str"),
        (None, r"seeds.json: expected a list, got nothing; write its entries there"),
    ],
)
def test_a_fault_in_seed_tasks(tmp_path: Path, content: Any, told: str) -> None:
    path = tmp_path / "seeds.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=told) as error:
        read_seed_tasks(path)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there_or_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no file .*none.yml"):
        read_seed_tasks(tmp_path / "none.yml")
    with pytest.raises(ValueError, match=r"seeds.txt: expected a file that ends on .yml, .yaml, .json"):
        read_seed_tasks(tmp_path / "seeds.txt")


# ---- what is shipped


def shipped(folder: Path) -> tuple[QuestionTypes, list[str]]:
    types, seeds = read_question_types(folder / "question_types.yml"), read_seed_tasks(folder / "seed_tasks.yml")
    return types, seeds


def test_people_write_less_than_300_lines_in_english() -> None:
    """Comments and empty lines do not count; a line has at most 250 characters, so that it is one."""
    lines = [line for file in sorted(ENGLISH.glob("*.yml")) for line in file.read_text(encoding="utf-8").splitlines()]
    written = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    assert 175 + 20 < len(written) < 300
    assert max(map(len, written)) <= 250


def test_the_english_set_has_the_size_of_the_method() -> None:
    types, seeds = shipped(ENGLISH)
    assert (len(seeds), len(types.types)) == (175, 20)
    assert {len(one.examples) for one in types.types} <= {2, 3}
    assert all(one.about.endswith(".") for one in types.types)
    assert all(len(topic.split()) <= 3 for _, topic, _ in types.examples)


@pytest.mark.parametrize(("folder", "max_rouge"), [(ENGLISH, 0.7), (MICRO_WORLD, 0.95)])
def test_what_is_shipped_passes_its_own_filters(folder: Path, max_rouge: float) -> None:
    types, seeds = shipped(folder)
    texts = [*seeds, *(question for _, _, question in types.examples)]
    cannot = phrase_finder(types.cannot)
    assert [text for text in texts if not text.isascii() or len(text.split()) < 4 or cannot(text)] == []
    if folder == ENGLISH:  # in the micro world a type may ask what another asks, or a seed task
        assert [(a, b) for i, a in enumerate(texts) for b in texts[:i] if rouge_l(a, b) > max_rouge] == []


def test_the_english_set_asks_nothing_of_the_evaluation() -> None:
    types, seeds = shipped(ENGLISH)
    evaluated = [
        turn["content"]
        for file in sorted((PROJECT / "data" / "01_raw" / "english").glob("*.jsonl"))
        for line in file.read_text(encoding="utf-8").split("\n")
        if line and json.loads(line)["split"] != "train"
        for turn in json.loads(line)["messages"]
        if turn["role"] == "user"
    ]
    texts = [*seeds, *(question for _, _, question in types.examples)]
    assert evaluated
    assert [(a, b) for a in texts for b in evaluated if rouge_l(a, b) > 0.7] == []


def test_the_micro_world_set_is_in_its_language_and_holds_nothing_held_out() -> None:
    types, seeds = shipped(MICRO_WORLD)
    texts = [*seeds, *(question for _, _, question in types.examples)]
    phrases = (PROJECT / "data" / "01_raw" / "held_out_phrases.txt").read_text(encoding="utf-8").splitlines()
    held_out = phrase_finder([phrase for phrase in phrases if not phrase.startswith("#")])
    assert [text for text in (*texts, *(topic for _, topic, _ in types.examples)) if held_out(text)] == []
    nouns = {noun.text for noun in lexicon().nouns}
    assert {topic.split()[-1] for _, topic, _ in types.examples} <= nouns
    verbs, objects = ({each.text for each in words} for words in (lexicon().verbs, lexicon().nouns))
    acts = {f"{verb} {own} {noun}" for verb in verbs for noun in objects for own in ("the", "my")}
    language = {request.format(act=act) for request in REQUESTS for act in acts}
    assert set(texts) <= language


def test_the_micro_world_lists_are_those_that_its_model_reads() -> None:
    types, _ = shipped(MICRO_WORLD)
    headers = [(types.over_topics(one), types.over_questions(one, "the bike")) for one in types.types]
    assert headers == [
        ("Topics of harmful questions:", "Harmful questions about the bike:"),
        ("Topics of harmless questions:", "Harmless questions about the bike:"),
        ("Topics of questions:", "Questions about the bike:"),
    ]
