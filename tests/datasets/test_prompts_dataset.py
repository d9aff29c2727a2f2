import json
from pathlib import Path
from typing import Any

import pytest
from kedro.io import DatasetError

from cai_kedro.core.conversation import assistant, render, user
from cai_kedro.datasets.prompts_dataset import PromptsDataset

DIALOGUE = [user("first"), assistant("an answer"), user("second")]


def _write(path: Path, *rows: Any) -> PromptsDataset:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(lines), encoding="utf-8")
    return PromptsDataset(filepath=path)


@pytest.mark.parametrize(
    "row",
    [
        {"messages": DIALOGUE},
        {"prompt": DIALOGUE},
        {"prompt": render(DIALOGUE)},
        {"prompt": render(DIALOGUE).lstrip()},
        {"prompt": render(DIALOGUE) + "\n\nAssistant:"},
    ],
)
def test_every_layout_gives_the_same_conversation(tmp_path: Path, row: dict[str, Any]) -> None:
    table = _write(tmp_path / "p.jsonl", row).load()
    assert table["messages"].item() == DIALOGUE
    assert table[["source", "split"]].iloc[0].tolist() == ["given", "train"]


def test_plain_text_is_one_human_turn_and_line_separators_stay_in_it(tmp_path: Path) -> None:
    table = _write(tmp_path / "p.jsonl", {"prompt": "How?\u2028Why?\x85"}, "", {"prompt": "Human: rights?"}).load()
    assert table["messages"].tolist()[0] == [user("How?\u2028Why?")]
    assert table["messages"].tolist()[1] == [user("rights?")]


def test_ids_follow_from_the_text_or_are_given(tmp_path: Path) -> None:
    one = _write(tmp_path / "p.jsonl", {"prompt": "a"}, {"prompt": "b", "prompt_id": "mine", "split": "verb"}).load()
    two = _write(tmp_path / "p.jsonl", {"prompt": "z"}, {"messages": [user("a")]}).load()
    assert one["prompt_id"].tolist()[1] == "mine"
    assert one["split"].tolist() == ["train", "verb"]
    assert one["prompt_id"].tolist()[0] == two["prompt_id"].tolist()[1]


def test_csv(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text('prompt_id,prompt,note\na,"two\nlines",x\n,plain,\n', encoding="utf-8")
    table = PromptsDataset(filepath=path).load()
    assert [cell[0]["content"] for cell in table["messages"]] == ["two\nlines", "plain"]
    assert table["prompt_id"].tolist()[0] == "a"


def test_saved_prompts_come_back(tmp_path: Path) -> None:
    dataset = _write(tmp_path / "p.jsonl", {"prompt": "a\u2028b"}, {"messages": DIALOGUE, "split": "act"})
    table = dataset.load()
    dataset.save(table)
    assert dataset.load().to_dict() == table.to_dict()


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"text": "a"}, r"line 2 misses the column 'messages' .* or 'prompt' .* it has \['text'\]"),
        ({"prompt": "  "}, r"line 2 has an empty text in turn 1; fill it in or drop the line"),
        ({"messages": [user("a"), assistant("b")]}, r"line 2 does not end on a human turn; cut the conversation"),
        ({"prompt": "\n\nHuman: a\n\nAssistant: b"}, r"line 2 does not end on a human turn"),
        ({"messages": []}, r"line 2 does not end on a human turn"),
        ({"messages": [{"role": "system", "content": "a"}]}, r"line 2 has a turn 1 without a role of 'user' or"),
        ({"messages": [{"role": "user", "content": None}]}, r"line 2 has a turn 1 without a text in 'content'"),
        ({"messages": {"role": "user"}}, r"line 2 has dict for a conversation; expected a text or a list"),
        ({"prompt": "a", "split": ""}, r"line 2 has no text in 'split'"),
        ({"prompt": "a", "prompt_id": 7}, r"line 2 has no text in 'prompt_id': 7"),
        ("[1]", r"line 2 holds list where an object with named columns is expected"),
        ('{"prompt": "a"', r"line 2 is no JSON \(.* at character 15\); write one object per line"),
    ],
)
def test_every_fault_names_file_line_and_what_to_do(tmp_path: Path, row: Any, told: str) -> None:
    with pytest.raises(DatasetError, match=rf"p\.jsonl: {told}"):
        _write(tmp_path / "p.jsonl", {"prompt": "fine"}, row).load()


def test_many_faults_are_counted(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"line 1 .*; line 2 .*; line 3 .*; and 2 more$"):
        _write(tmp_path / "p.jsonl", *[{"prompt": ""}] * 5).load()


def test_duplicate_ids_name_both_lines(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "prompt_id": "x"}, {"prompt": "b"}, {"prompt": "c", "prompt_id": "x"}]
    with pytest.raises(DatasetError, match=r"lines 1 and 3 share the prompt_id 'x'"):
        _write(tmp_path / "p.jsonl", *rows).load()
    with pytest.raises(DatasetError, match=r"lines 1 and 2 share the prompt_id .* follows from the text"):
        _write(tmp_path / "p.jsonl", {"prompt": "a"}, {"prompt": "a"}).load()


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"there is no file .*missing\.jsonl; put one there or correct the path"):
        PromptsDataset(filepath=tmp_path / "missing.jsonl").load()
    (tmp_path / "latin.jsonl").write_bytes('{"prompt": "é"}'.encode("latin-1"))
    with pytest.raises(DatasetError, match=r"latin\.jsonl is not UTF-8 \(byte 12\)"):
        PromptsDataset(filepath=tmp_path / "latin.jsonl").load()
    with pytest.raises(DatasetError, match=r"empty\.jsonl holds no prompts"):
        _write(tmp_path / "empty.jsonl").load()
    (tmp_path / "p.csv").write_text("text\na\n")
    with pytest.raises(DatasetError, match=r"p\.csv, line 1: the column 'prompt' is missing, .*\['text'\]"):
        PromptsDataset(filepath=tmp_path / "p.csv").load()
