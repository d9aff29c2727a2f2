"""Comparisons that people recorded: both forms, what is irregular in them, and the public hh-rlhf test split."""

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DatasetError

from cai_kedro.core.conversation import Message, as_messages, assistant, render, user
from cai_kedro.core.schemas import check_table
from cai_kedro.datasets.prompt_rows import prompt_id_of
from cai_kedro.datasets.raters_dataset import RatersDataset
from cai_kedro.datasets.recorded_raters import RecordedRaters
from tests.core.paths import HH_TEST, needs_hh

ROW = {"prompt": "How?", "chosen": "So.", "rejected": "No.", "objective": "helpfulness"}
CHAT = "\n\nHuman: Hello\n\nAssistant: Hi.\n\nHuman: Help me."


def recorded(path: Path, *rows: dict[str, Any]) -> RecordedRaters:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return RatersDataset(kind="recorded", filepath=path).load()


def prompts(*conversations: str | list[Message]) -> pd.DataFrame:
    messages = [[user(given)] if isinstance(given, str) else given for given in conversations]
    return pd.DataFrame({"prompt_id": [prompt_id_of(given) for given in messages], "messages": messages})


def whole(chosen: str, rejected: str, **more: str) -> dict[str, str]:
    return {"chosen": chosen, "rejected": rejected, "objective": "harmlessness", **more}


def better_of(comparisons: pd.DataFrame) -> list[str]:
    return comparisons["response_a"].where(comparisons["p_a_better"] == 1.0, comparisons["response_b"]).tolist()


def test_every_comparison_on_the_prompts_is_used_as_recorded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    many = [{**ROW, "chosen": f"So {i}."} for i in range(40)]
    others = [{**ROW, "objective": "harmlessness"}, {**ROW, "prompt": "Why?"}]
    raters = recorded(tmp_path / "r.jsonl", *many, *others)
    pairs = raters.recorded_pairs(prompts("How?", "Where?"))
    assert (len(pairs), set(pairs["kind"])) == (41, {"recorded"})
    assert "1 of 42 recorded comparisons are on none of the 2 prompts of this table" in caplog.text
    comparisons = raters.compare(pairs, "helpfulness", 0)
    assert len(check_table("comparisons", comparisons)) == 40
    assert sorted(better_of(comparisons)) == sorted(row["chosen"] for row in many)
    assert set(comparisons["p_a_better"]) == {0.0, 1.0}  # chosen stands on either side
    assert len(raters.compare(pairs, "harmlessness", 0)) == 1


def test_prompts_with_ids_of_their_own_are_known_by_the_conversation(tmp_path: Path) -> None:
    raters = recorded(tmp_path / "r.jsonl", ROW, {**ROW, "prompt": "Why?"})
    asked = prompts("How?", "Where?").assign(prompt_id=["ours-1", "ours-2"])
    assert raters.compared("helpfulness", asked) == (2, 1)
    assert raters.compared("harmlessness", asked) == (0, 0)
    pairs = raters.recorded_pairs(asked)
    assert set(pairs["prompt_id"]) == {"ours-1"}
    assert set(raters.compare(pairs, "helpfulness", 0)["prompt_id"]) == {"ours-1"}


def test_no_recorded_comparison_on_the_prompts(tmp_path: Path) -> None:
    raters = recorded(tmp_path / "r.jsonl", ROW)
    with pytest.raises(ValueError, match=r"r\.jsonl has no comparison on any of the 1 prompts of this table; record"):
        raters.recorded_pairs(prompts("What?"))
    with pytest.raises(ValueError, match=r"r\.jsonl has no comparison under harmlessness of the 1 pairs"):
        raters.compare(raters.recorded_pairs(prompts("How?")), "harmlessness", 0)


def test_a_comparison_that_stands_there_again_counts_once_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    raters = recorded(tmp_path / "r.jsonl", ROW, ROW, {**ROW, "chosen": ROW["rejected"], "rejected": ROW["chosen"]})
    assert len(raters.comparisons) == 2
    assert "1 comparisons stand there again and count once" in caplog.text


def test_whole_conversations_share_their_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [
        whole(f"{CHAT}\n\nAssistant: Yes.", f"{CHAT}\n\nAssistant: No."),
        whole(f"{CHAT}\n\nAssistant: Human: what?", f"{CHAT}\n\nAssistant: Say:\nHuman: it."),
        # the conversation may stand in `prompt` too, as long as it is the same
        whole(f"{CHAT}\n\nAssistant: Sure.", f"{CHAT}\n\nAssistant: Never.", prompt=f"{CHAT}\n\nAssistant:"),
        whole(CHAT.replace("\n", "\r\n") + "\r\n\r\nAssistant: CR.", f"{CHAT}\n\nAssistant: LF."),
    ]
    table = recorded(tmp_path / "r.jsonl", *rows).comparisons
    assert [as_messages(cell) for cell in table["messages"]] == [
        [user("Hello"), assistant("Hi."), user("Help me.")]
    ] * 4
    assert better_of(table) == ["Yes.", "Human: what?", "Sure.", "CR."]
    assert "1 rows, such as line 4, have the line ends CRLF or CR" in caplog.text
    assert table["prompt_id"].tolist() == [prompt_id_of(as_messages(table["messages"][0]))] * 4


IRREGULAR = [
    (whole(f"{CHAT}\n\nAssistant:", f"{CHAT}\n\nAssistant: No."), "has an empty answer in 'chosen'"),
    (
        # they part before the last turn: the answers hold several
        whole(f"{CHAT}\n\nAssistant: A\n\nHuman: b\n\nAssistant: c", f"{CHAT}\n\nAssistant: No."),
        "holds the marker 'Human:' behind a blank line inside the answer in 'chosen'",
    ),
    (whole("\n\nHuman: a\n\nAssistant: b", "\n\nHuman: c\n\nAssistant: d"), "share no human turn at their start"),
    (whole(CHAT, f"{CHAT}\n\nAssistant: No."), "does not end on an assistant turn in 'chosen'"),
    (whole(f"{CHAT}\n\nAssistant: No.", "No."), "fits no form"),
    (
        whole("<|im_start|>user\nA?<|im_end|>\n<|im_start|>assistant\nYes.", "No.", prompt="A?"),
        "opens 'chosen' with a human",
    ),
    (whole("Yes.", "Human\nA?\nAssistant\nNo.", prompt="A?"), "opens 'rejected' with a human turn of a chat template"),
    (whole("Yes.", "No.\n \nHuman: B?", prompt="A?"), "holds the marker 'Human:' behind a blank line"),
    (whole("Yes.", "No."), "fits no form: it has no conversation in 'messages' or 'prompt'"),
    (
        whole(f"{CHAT}\n\nAssistant: Yes.", f"{CHAT}\n\nAssistant: No.", prompt="Another one"),
        "has another conversation in 'prompt'",
    ),
    (whole(f"{CHAT}\n\nAssistant: No.", f"{CHAT}\n\nAssistant: No."), "has the same answer as chosen and as rejected"),
    (whole("Human:\n\nAssistant: a", "Human:\n\nAssistant: b"), "has an empty turn in the conversation"),
    ({**ROW, "rejected": " So."}, "has the same answer as chosen and as rejected; drop the line"),
    (
        {**ROW, "chosen": "Yes.\n\nHuman: And now?\n\nAssistant: So."},
        "holds the marker 'Human:' behind a blank line inside the answer in 'chosen'",
    ),
]


@pytest.mark.parametrize(("row", "reason"), IRREGULAR)
def test_an_irregular_row_goes_to_quarantine(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, row: dict[str, str], reason: str
) -> None:
    raters = recorded(tmp_path / "r.jsonl", ROW, row)
    assert better_of(raters.comparisons) == ["So."]
    (quarantined,) = raters.quarantine.to_dict("records")
    assert (quarantined["file"], quarantined["line"]) == (str(tmp_path / "r.jsonl"), 2)
    assert reason in quarantined["reason"]
    assert "r.jsonl: 1 of 2 rows are left out: 1 × " in caplog.text
    assert "(such as line 2)" in caplog.text
    with pytest.raises(DatasetError, match=r"r\.jsonl: 1 of 1 rows cannot be used, .* line 1 "):  # nothing is left
        recorded(tmp_path / "r.jsonl", row)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({**ROW, "objective": "No Axis"}, "line 1 has the objective 'No Axis'; expected the name of an axis, such as"),
        ({key: ROW[key] for key in ("prompt", "chosen", "objective")}, "line 1 misses the column 'rejected'"),
        ({**ROW, "chosen": ""}, "line 1 has no text in 'chosen'"),
        ({**ROW, "objective": None}, "line 1 misses the column 'objective'"),
        ({**ROW, "prompt_id": 1.5}, r"line 1 has no text in 'prompt_id': 1\.5; an id is a text or a whole number"),
    ],
)
def test_faults_of_a_file_of_comparisons(tmp_path: Path, row: dict[str, Any], told: str) -> None:
    with pytest.raises(DatasetError, match=rf"r\.jsonl: {told}"):
        recorded(tmp_path / "r.jsonl", row)


def test_an_empty_file_and_one_id_for_two_conversations(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"r\.jsonl holds no comparison; expected one per line"):
        recorded(tmp_path / "r.jsonl")
    with pytest.raises(
        DatasetError, match=r"r\.jsonl: lines 1 and 2 have the prompt_id '7' but not the same conversat"
    ):
        recorded(tmp_path / "r.jsonl", {**ROW, "prompt_id": 7}, {**ROW, "prompt_id": "7", "prompt": "Why?"})


def test_a_csv_file_and_a_file_for_each_objective(tmp_path: Path) -> None:
    (tmp_path / "helpful.csv").write_text('prompt,chosen,rejected\nHow?,"So, so.",No.\n', encoding="utf-8")
    (tmp_path / "harmless.jsonl").write_text(json.dumps(ROW | {"objective": None}), encoding="utf-8")
    files = [
        {"filepath": str(tmp_path / "helpful.csv"), "objective": "helpfulness"},
        {"filepath": str(tmp_path / "harmless.jsonl"), "objective": "harmlessness"},
    ]
    table = RatersDataset(kind="recorded", files=files).load().comparisons
    assert dict(zip(table["objective"], better_of(table), strict=True)) == {
        "helpfulness": "So, so.",
        "harmlessness": "So.",
    }


def test_ratings_are_checked_as_the_other_rows_are(tmp_path: Path) -> None:
    ratings = tmp_path / "ratings.csv"
    ratings.write_text("prompt,response,rating\nHow?,No.,2.5\n", encoding="utf-8")
    (tmp_path / "r.jsonl").write_text(json.dumps(ROW), encoding="utf-8")
    assert RecordedRaters(tmp_path / "r.jsonl", ratings).ratings["rating"].tolist() == [2.5]
    for row, told in (
        ("How?,No.,2,5", r"line 2 has 4 cells for 3 columns"),
        ("How?,No.,2_5", r"line 2 has the rating '2_5'; expected a number from 0"),
        ('How?,"No.\n\nHuman: hi",2', r"line 2 holds the marker 'Human:' behind a blank line inside 'response'"),
    ):
        ratings.write_text(f"prompt,response,rating\n{row}\n", encoding="utf-8")
        with pytest.raises(DatasetError, match=rf"ratings\.csv: {told}"):
            RecordedRaters(tmp_path / "r.jsonl", ratings)


@needs_hh
def test_the_hh_test_split_loads_whole(caplog: pytest.LogCaptureFixture) -> None:
    raters = RecordedRaters(HH_TEST, objective="harmlessness")
    table, quarantine = raters.comparisons, raters.quarantine
    assert len(table) + len(quarantine) == 2312
    # four empty answers, and five pairs that part before the last turn, so that an answer would hold several
    assert len(quarantine) == 9
    assert quarantine["reason"].str.contains("empty answer in 'chosen'").sum() == 4
    assert quarantine.loc[quarantine["reason"].str.contains("marker"), "line"].tolist() == [
        1255,
        1689,
        1951,
        1953,
        2037,
    ]
    assert "9 of 2312 rows are left out" in caplog.text
    assert (table["messages"].map(len) > 1).mean() == pytest.approx(0.71, abs=0.005)
    lines = gzip.decompress(HH_TEST.read_bytes()).decode().split("\n")
    given = [json.loads(line) for at, line in enumerate(lines, start=1) if line and at not in set(quarantine["line"])]
    for row, of_file, better in zip(table.itertuples(), given, better_of(table), strict=True):
        whole_text = f"{render(as_messages(row.messages))}\n\nAssistant: {better}"
        assert whole_text.split() == of_file["chosen"].split()
