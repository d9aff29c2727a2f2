"""Readers of real comparisons: small files of our own, and the public ones where they are."""

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DatasetError

from cai_kedro.core.asks import Comparison
from cai_kedro.core.conversation import as_prompt, assistant, user
from cai_kedro.core.layouts.hh import text_of
from cai_kedro.datasets.comparison_items_dataset import COLUMNS, ComparisonItemsDataset
from tests.core.paths import HH_TEST, SHARED_DATA, needs_hh

HHH = SHARED_DATA / "cai_paper" / "evals" / "438HHHEvaluations.jsonl"
needs_hhh = pytest.mark.skipif(not HHH.is_file(), reason=f"the paper's 438 comparisons are not at {HHH}")

QUESTION = "Which one is kinder?"
CHAT = "\n\nHuman: Hello\n\nAssistant: Hi.\n\nHuman: Help me."


def multiple_choice(better_first: bool = True, **changed: Any) -> dict[str, Any]:
    prompt = text_of(Comparison([user("Help me.")], "Yes, gladly.", "No.", QUESTION))
    letters = [" (A)", " (B)"] if better_first else [" (B)", " (A)"]
    return {"prompt": prompt, "corrects": letters[:1], "incorrects": letters[1:], **changed}


def load(tmp_path: Path, *rows: dict[str, Any] | str) -> pd.DataFrame:
    path = tmp_path / "items.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return ComparisonItemsDataset(filepath=path).load()


def test_multiple_choice_in_the_papers_format(tmp_path: Path) -> None:
    table = load(tmp_path, multiple_choice(), multiple_choice(better_first=False, text_correct="left out"))
    assert list(table.columns) == COLUMNS
    assert table["line"].tolist() == [1, 2]
    assert table["messages"].tolist() == [[user("Help me.")]] * 2
    assert table[["better", "worse", "letter"]].values.tolist() == [
        ["Yes, gladly.", "No.", "A"],
        ["No.", "Yes, gladly.", "B"],
    ]
    assert set(table["question"]) == {QUESTION}
    assert table["item_id"].is_unique


def test_chosen_and_rejected_share_their_conversation(tmp_path: Path) -> None:
    table = load(tmp_path, {"chosen": f"{CHAT}\n\nAssistant: Yes.", "rejected": f"{CHAT}\n\nAssistant: No."})
    (row,) = table.to_dict("records")
    assert row["messages"] == [user("Hello"), assistant("Hi."), user("Help me.")]
    assert (row["better"], row["worse"]) == ("Yes.", "No.")
    assert row["question"] is None


def test_irregular_conversations_are_met(tmp_path: Path) -> None:
    table = load(
        tmp_path,
        {"chosen": f"{CHAT}\n\nAssistant:", "rejected": f"{CHAT}\n\nAssistant: Human: what?"},
        # two turns of the assistant in a row, of which the first already differs
        {
            "chosen": f"{CHAT}\n\nAssistant: Well.  Human: So?\n\nAssistant: Yes.",
            "rejected": f"{CHAT}\n\nAssistant: No.\u2028Never.",
        },
        # one differs in a human turn: the answers begin before it
        {
            "chosen": "\n\nHuman: Hello\n\nAssistant: Hi.\n\nHuman: Help?\n\nAssistant: Yes.",
            "rejected": "\n\nHuman: Hello\n\nAssistant: Hi.\n\nHuman: Help!\n\nAssistant: No.",
        },
    )
    assert table["better"].tolist() == [
        "",
        "Well.  Human: So?\n\nAssistant: Yes.",
        "Hi.\n\nHuman: Help?\n\nAssistant: Yes.",
    ]
    assert table["worse"].tolist() == ["Human: what?", "No.\u2028Never.", "Hi.\n\nHuman: Help!\n\nAssistant: No."]
    assert [len(cell) for cell in table["messages"]] == [3, 3, 1]


def test_a_letter_that_the_file_does_not_give_is_drawn_for_the_item(tmp_path: Path) -> None:
    rows = [{"chosen": f"{CHAT}\n\nAssistant: {i}", "rejected": f"{CHAT}\n\nAssistant: no {i}"} for i in range(200)]
    letters = load(tmp_path, *rows)["letter"]
    assert 70 < (letters == "A").sum() < 130
    assert load(tmp_path, *rows[100:])["letter"].tolist() == letters[100:].tolist()


def test_a_packed_file_reads_as_a_plain_one(tmp_path: Path) -> None:
    plain = load(tmp_path, multiple_choice())
    (tmp_path / "items.jsonl.gz").write_bytes(gzip.compress((tmp_path / "items.jsonl").read_bytes()))
    pd.testing.assert_frame_equal(ComparisonItemsDataset(filepath=tmp_path / "items.jsonl.gz").load(), plain)
    (tmp_path / "items.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(DatasetError, match=r"items.jsonl.gz cannot be unpacked"):
        ComparisonItemsDataset(filepath=tmp_path / "items.jsonl.gz").load()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("", r"items.jsonl holds no comparisons; expected one JSON object a line"),
        ("{", r"line 1 is no JSON"),
        ({"prompt": "x"}, r"line 1 has neither 'corrects' \(multiple choice\) nor 'chosen'"),
        (
            multiple_choice(corrects=[" (C)"]),
            r"line 1 has ' \(C\)' as correct and ' \(B\)' as incorrect; expected ' \(A\)'",
        ),
        (multiple_choice(corrects=[" (A)", " (B)"]), r"line 1 has the option ' \(B\)' twice in 'corrects' and"),
        (multiple_choice(corrects=[]), r"line 1 needs a list of at least one text in 'corrects', .* got \[\]"),
        (multiple_choice(incorrects=["No.", 7]), r"line 1 needs a list of at least one text in 'incorrects'"),
        (multiple_choice(incorrects=None), r"line 1 needs a list of at least one text in 'incorrects', .* got None"),
        (
            {"chosen": CHAT, "rejected": f"{CHAT}\n\nAssistant: No."},
            r"line 1 does not end on an assistant turn in 'chosen'",
        ),
        ({"chosen": f"{CHAT}\n\nAssistant: No."}, r"line 1 misses the column 'rejected'"),
        ({"chosen": "Yes.", "rejected": "No."}, r"line 1 fits no form: it has no conversation in 'messages' or"),
        (
            {"chosen": f"{CHAT}\n\nAssistant: No.", "rejected": f"{CHAT}\n\nAssistant: No."},
            r"line 1 has the same answer as chosen and as rejected",
        ),
        (
            {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: c\n\nAssistant: d"},
            r"line 1 has conversations that share no human turn",
        ),
    ],
)
def test_a_bad_row_is_told_by_line(tmp_path: Path, row: dict[str, Any] | str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        load(tmp_path, row)


@pytest.mark.parametrize(
    ("prompt", "corrects", "incorrects"),
    [
        ("Q: What is 2 + 2?\nA) 3\nB) 4\nC) 5\nAnswer:", [" B"], [" A", " C"]),
        ("Which of these are even?", [" two", " four"], [" three", " five", " seven"]),
        # the paper's layout, but with a third option or with an answer of the assistant before the question
        (text_of(Comparison([user("Hi")], "a", "b]]]\n (C) [[[c", QUESTION)), [" (C)"], [" (A)", " (B)"]),
        (text_of(Comparison([user("Hi")], "a", "b]]]\n (C) [[[c", QUESTION)), [" (A)"], [" (B)"]),
        (text_of(Comparison([user("Hi"), assistant("Ho")], "a", "b", QUESTION)), [" (B)"], [" (A)"]),
    ],
)
def test_any_layout_and_number_of_options_is_kept_as_it_stands(
    tmp_path: Path, prompt: str, corrects: list[str], incorrects: list[str]
) -> None:
    given = {"prompt": prompt, "corrects": corrects, "incorrects": incorrects}
    table = load(tmp_path, {**given, "text_correct": "left out"}, multiple_choice())
    assert {column: table[column][0] for column in given} == given
    assert table.loc[0, ["messages", "better", "worse", "letter"]].isna().all()
    assert (table["letter"][1], table["prompt"][1]) == ("A", None)
    assert table["item_id"].is_unique


def test_two_answers_to_a_prompt(tmp_path: Path) -> None:
    table = load(tmp_path, {"prompt": "Help me.", "chosen": "Yes.", "rejected": "No.", "objective": "helpfulness"})
    assert table[["better", "worse"]].values.tolist() == [["Yes.", "No."]]
    assert table["messages"].item() == [user("Help me.")]


def test_an_item_that_stands_there_again_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    load(tmp_path, multiple_choice(), multiple_choice(better_first=False), multiple_choice())
    assert "1 comparisons stand there again, such as line 3" in caplog.text


@needs_hhh
def test_the_papers_438_comparisons() -> None:
    table = ComparisonItemsDataset(filepath=HHH).load()
    assert table["letter"].value_counts().to_dict() == {"A": 228, "B": 210}
    for line, row in zip(HHH.read_bytes().decode().split("\n"), table.itertuples(), strict=False):
        given = json.loads(line)
        for key, answer in (("text_correct", row.better), ("text_incorrect", row.worse)):
            # but for the space around turns
            assert given[key].split() == f"{as_prompt(row.messages)} {answer}".split()


@needs_hh
def test_all_rows_of_the_hh_test_split() -> None:
    table = ComparisonItemsDataset(filepath=HH_TEST).load()
    assert len(table) == 2312
    assert (table["better"] == "").sum() == 4
    several = table["better"].str.contains("\n\nAssistant:") | table["worse"].str.contains("\n\nAssistant:")
    assert table.loc[several, "line"].tolist() == [1255, 1689, 1951, 1953, 2037]
    assert (table["messages"].map(len) > 1).mean() == pytest.approx(0.71, abs=0.005)
    given = [json.loads(line) for line in gzip.decompress(HH_TEST.read_bytes()).decode().split("\n") if line]
    for row, of_file in zip(table.itertuples(), given, strict=True):
        whole = f"{as_prompt(row.messages)} {row.better}"
        assert whole.split() == of_file["chosen"].split()
