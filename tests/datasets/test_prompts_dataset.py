import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from kedro.io import DatasetError

from cai_kedro.core.conversation import assistant, render, user
from cai_kedro.datasets.prompt_rows import prompt_id_of
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
        ({"words": "a"}, r"line 2 misses the column 'messages' .* or 'prompt' .* it has \['words'\]"),
        ({"prompt": "  "}, r"line 2 has an empty text in turn 1; fill it in or drop the line"),
        ({"messages": [user("a"), assistant("b")]}, r"line 2 does not end on a human turn; cut the conversation"),
        ({"prompt": "\n\nHuman: a\n\nAssistant: b"}, r"line 2 does not end on a human turn"),
        ({"messages": []}, r"line 2 does not end on a human turn"),
        ({"messages": [{"role": "tool", "content": "a"}]}, r"line 2 has a turn 1 without a role of 'user' or"),
        (
            {"messages": [user("a"), {"role": "system", "content": "b"}]},
            r"line 2 has a turn 2 without a role .*'system'",
        ),
        ({"messages": [{"role": "user", "content": None}]}, r"line 2 has a turn 1 without a text in 'content'"),
        ({"messages": {"role": "user"}}, r"line 2 has dict for a conversation; expected a text or a list"),
        ({"prompt": "a", "split": ""}, r"line 2 has no text in 'split'"),
        ({"prompt": "a", "prompt_id": 1.0}, r"line 2 has no text in 'prompt_id': 1\.0; an id is a text or a whole"),
        ({"prompt": "a", "prompt_id": True}, r"line 2 has no text in 'prompt_id': True; an id is a text or a whole"),
        ({"prompt": "a", "messages": [user("b")]}, r"line 2 has one conversation in 'messages' and another one in"),
        (
            {"prompt": "a\n\nAssistant: Sure.\n\nHuman: b"},
            r"line 2 holds the marker 'Assistant:' .* inside turn 1; give",
        ),
        ({"prompt": "a\r\n\r\nHuman: b"}, r"line 2 holds the marker 'Human:' behind a blank line inside turn 1"),
        ({"messages": [user("a\r\rHuman: b")]}, r"line 2 holds the marker 'Human:' behind a blank line inside turn 1"),
        ({"prompt": "Human: a\n\nCritiqueRequest: b"}, r"line 2 holds the marker 'CritiqueRequest:' behind a blank"),
        (
            '{"prompt": "half \\ud83d"}',
            r"line 2 holds half a character, the lone surrogate '\\ud83d', at character 6",
        ),
        ('{"prompt": "a", "note": ["\\udc00"]}', r"line 2 holds half a character"),
        ('{"prompt": "a\\u0000b"}', r"line 2 holds a NUL character at character 2"),
        ('{"prompt": "a", "prompt": "b"}', r"line 2 the key or id 'prompt' is there twice"),
        ('{"prompt": "a", "n": NaN}', r"line 2 holds NaN, which is no number of JSON"),
        ('{"prompt": "a", "n": [-Infinity]}', r"line 2 holds -Infinity, which is no number of JSON"),
        ('{"prompt": "a", "n": 1e999}', r"line 2 holds the number 1e999, which is beyond the largest float"),
        ("[" * 100_000, r"line 2 is nested too deeply"),
        ({"prompt": None}, r"line 2 misses the column 'messages' .* or 'prompt' .* it has \[\]"),
        ({"prompt": "Human:"}, r"line 2 has an empty text in turn 1"),
        ("[1]", r"line 2 holds list where an object with named columns is expected"),
        ('{"prompt": "a"', r"line 2 is no JSON \(.* at character 15\); write one object per line"),
    ],
)
def test_every_fault_names_file_line_and_what_to_do(tmp_path: Path, row: Any, told: str) -> None:
    with pytest.raises(DatasetError, match=rf"p\.jsonl: {told}"):
        _write(tmp_path / "p.jsonl", {"prompt": "fine"}, row).load()


def test_many_faults_are_counted(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError,
        match=r"line 1 .*; line 2 .*; line 3 .*; and 2 more; to leave such rows out .* `faulty_rows: leave_out`",
    ):
        _write(tmp_path / "p.jsonl", *[{"prompt": ""}] * 5).load()


def test_duplicate_ids_name_both_lines(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "prompt_id": "x"}, {"prompt": "b"}, {"prompt": "c", "prompt_id": "x"}]
    with pytest.raises(DatasetError, match=r"lines 1 and 3 share the prompt_id 'x'"):
        _write(tmp_path / "p.jsonl", *rows).load()
    with pytest.raises(DatasetError, match=r"lines 1 and 2 share the prompt_id .* follows from the text"):
        _write(tmp_path / "p.jsonl", {"prompt": "a"}, {"prompt": "a"}).load()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            b'{"prompt": "a"}\n{"prompt": "\xe9"}',
            r"p\.jsonl, line 2 is not UTF-8 \(byte 28 of the file is 0xe9\); save",
        ),
        (b'\xef\xbb\xbf{"prompt": "\xe9"}', r"p\.jsonl, line 1 is not UTF-8 \(byte 15 of the file is 0xe9\)"),
        ('{"prompt": "a"}'.encode("utf-16"), r"p\.jsonl, line 1 is not UTF-8 \(byte 0 of the file is 0xff\)"),
        (b'{"prompt": "a"}\n\0', r"p\.jsonl, line 2 holds a NUL character; remove it"),
        (b"\x1f\x8bno gzip", r"p\.jsonl cannot be unpacked"),
        (gzip.compress(b'{"prompt": "a"}', mtime=0)[:-9], r"p\.jsonl cannot be unpacked"),
        (gzip.compress(b'{"prompt": "a"}', mtime=0)[:12] + b"\xff" * 20, r"p\.jsonl cannot be unpacked"),
        (b"\n \n", r"p\.jsonl holds no prompts"),
    ],
)
def test_a_file_that_is_no_text(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "p.jsonl").write_bytes(content)
    with pytest.raises(DatasetError, match=told):
        PromptsDataset(filepath=tmp_path / "p.jsonl").load()


def test_a_file_that_is_not_there_or_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"there is no file .*missing\.jsonl; put one there or correct the path"):
        PromptsDataset(filepath=tmp_path / "missing.jsonl").load()
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(DatasetError, match=r"folder\.jsonl cannot be read \(Is a directory\)"):
        PromptsDataset(filepath=tmp_path / "folder.jsonl").load()


CSV = "prompt_id,prompt\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("words\na\n", r", line 1: the column 'prompt' .* is missing, .*\['words'\]; add or rename one"),
        ("\n\n", r" is empty; expected a file with the columns prompt or messages"),
        (
            CSV + "p1,How do I, my friend, burn it?\n",
            r": line 2 has 4 cells for 2 columns \('prompt_id', 'prompt'\), the last",
        ),
        (
            "prompt_id,prompt,\np1,How do I, burn it?\n",
            r": line 2 has ' burn it\?' in a column without a name; put quotes round a cell that holds a comma",
        ),
        (CSV + "p0,x\n\np1\n", r": line 4 has 1 cells for 2 columns .* fill in what is missing"),
        (CSV + 'p1,"open\np2,fine\n', r": the row that starts at line 2 is no CSV .* close its quotes"),
        (CSV + 'p0,x\np1,"open\np2,"fine"\n', r": the row that starts at line 3 is no CSV"),
        (CSV + 'p1,"a"b\n', r": the row that starts at line 2 is no CSV"),
        (
            CSV + "p0,x\np1," + "x" * 140_000 + "\n",
            r": the row that starts at line 3 is no CSV \(field larger than field",
        ),
        ("prompt,prompt_id,prompt\na,b,c\n", r", line 1: the column 'prompt' is there twice"),
        ("prompt_id;prompt\np1;a\n", r", line 1: the columns are separated by semicolons, expected commas; save"),
        ("prompt_id\tprompt\np1\ta\n", r", line 1: the columns are separated by tabs"),
        (CSV + 'p1,"a\r\n\r\nAssistant: Sure."\n', r": line 2 holds the marker 'Assistant:' behind a blank line"),
        (CSV + "p1,\n", r": line 2 misses the column 'messages' .* or 'prompt'"),
        (CSV + "p1,a\np2,b\np1,c\n", r": lines 2 and 4 share the prompt_id 'p1'"),
    ],
)
def test_every_fault_of_a_csv_file_names_file_and_line(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "p.csv").write_text(text, encoding="utf-8", newline="")
    with pytest.raises(DatasetError, match=rf"p\.csv{told}"):
        PromptsDataset(filepath=tmp_path / "p.csv").load()


def test_a_whole_csv_file_with_line_breaks_marks_and_unnamed_columns(tmp_path: Path) -> None:
    text = '\ufeff,prompt_id, prompt ,\r\n0,p1,"a, ""b""\r\nc",\r\n\r\n1,p2,say "hi",\r\n'
    (tmp_path / "p.csv").write_text(text, encoding="utf-8", newline="")
    table = PromptsDataset(filepath=tmp_path / "p.csv").load()
    assert table["prompt_id"].tolist() == ["p1", "p2"]
    assert table["messages"].tolist() == [[user('a, "b"\nc')], [user('say "hi"')]]


def test_line_ends_inside_a_text_are_read_as_lf_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [{"prompt": "fine"}, {"prompt": "Human: a\r\nb\r\n\r\nAssistant: c\r\rHuman: d"}]
    table = _write(tmp_path / "p.jsonl", *rows).load()
    assert table["messages"].tolist()[1] == [user("a\nb"), assistant("c"), user("d")]
    assert (
        "p.jsonl: 1 rows, such as line 2, have the line ends CRLF or CR in a text; they are read as LF" in caplog.text
    )
    (tmp_path / "p.jsonl").write_bytes(b'{"prompt": "a"}\r\n{"prompt": "b"}\r{"prompt": "c"}')
    assert len(PromptsDataset(filepath=tmp_path / "p.jsonl").load()) == 3


@pytest.mark.parametrize("blank", ["\n \n", "\n\t\n", "\n\n ", "\u2028\u2028", "\x85\x85", "\x0b\n", "\n\u2003\n"])
@pytest.mark.parametrize("marker", ["Human:", "RevisionRequest:"])
def test_a_marker_behind_any_blank_line_is_refused(tmp_path: Path, blank: str, marker: str) -> None:
    with pytest.raises(DatasetError, match=rf"line 1 holds the marker '{marker}' behind a blank line inside turn 1"):
        _write(tmp_path / "p.jsonl", {"prompt": f"a{blank}{marker} b"}).load()


def test_a_marker_needs_no_space_and_inside_a_line_it_is_text(tmp_path: Path) -> None:
    rows = [{"prompt": "Human:hi"}, {"prompt": "Human:\nhi\n\nAssistant:ho\n\nHuman:hu"}, {"prompt": "a\nHuman: b"}]
    assert _write(tmp_path / "p.jsonl", *rows).load()["messages"].tolist() == [
        [user("hi")],
        [user("hi"), assistant("ho"), user("hu")],
        [user("a\nHuman: b")],
    ]


def test_null_is_a_column_that_is_not_given(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "split": None, "prompt_id": None}, {"prompt": "b", "messages": None, "split": "act"}]
    table = _write(tmp_path / "p.jsonl", *rows).load()
    assert table["split"].tolist() == ["train", "act"]
    assert table["prompt_id"].tolist()[0] == prompt_id_of([user("a")])


def test_a_whole_number_is_an_id_and_the_same_as_its_digits(tmp_path: Path) -> None:
    assert _write(tmp_path / "p.jsonl", {"prompt": "a", "prompt_id": 17}).load()["prompt_id"].tolist() == ["17"]
    for twin in ("1", " 1 "):
        with pytest.raises(DatasetError, match="lines 1 and 2 share the prompt_id '1'"):
            _write(tmp_path / "p.jsonl", {"prompt": "a", "prompt_id": 1}, {"prompt": "b", "prompt_id": twin}).load()


def test_an_id_with_control_characters_is_shown_by_repr(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "prompt_id": "x\x1b[31m\ny"}, {"prompt": "b", "prompt_id": "x\x1b[31m\ny"}]
    with pytest.raises(DatasetError, match=r"prompt_id 'x\\x1b\[31m\\ny'"):
        _write(tmp_path / "p.jsonl", *rows).load()


def test_where_chooses_rows_by_any_column(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    rows = [("a", "train", False), ("b", "held_out", False), ("c", "held_out", True), ("d", "other", False)]
    _write(path, *({"prompt_id": name, "prompt": name, "split": split, "flag": flag} for name, split, flag in rows))

    def ids(where: dict[str, Any] | None) -> list[str]:
        return list(PromptsDataset(filepath=path, where=where).load()["prompt_id"])

    assert ids(None) == ["a", "b", "c", "d"]
    assert ids({"split": "held_out"}) == ["b", "c"]
    assert ids({"split": "held_out", "flag": False}) == ["b"]
    assert ids({"split": ["train", "other"]}) == ["a", "d"]
    with pytest.raises(DatasetError, match=r"p\.jsonl: none of its 4 rows has \{'split': 'test'\}; correct"):
        ids({"split": "test"})
    with pytest.raises(DatasetError, match=r"none of its 4 rows has"):
        ids({"flag": 0})  # a number is no truth value
    with pytest.raises(DatasetError, match=r"line 1 misses the column 'kind' that `where` asks for"):
        ids({"kind": "x"})


def test_rows_that_where_leaves_out_are_read_too(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    _write(path, {"prompt": "a", "split": "train"}, {"prompt": "", "split": "held_out"})
    with pytest.raises(DatasetError, match=r"line 2 has an empty text in turn 1"):
        PromptsDataset(filepath=path, where={"split": "train"}).load()
