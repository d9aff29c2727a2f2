"""The formats that people have: one meaning, however it is written, from a file or a data set of the hub."""

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from kedro.io import DatasetError

from cai_kedro.core.conversation import Message, as_messages, assistant, render, user
from cai_kedro.core.held_out import is_held_out
from cai_kedro.datasets.prompts_dataset import PromptsDataset
from cai_kedro.datasets.raters_dataset import RatersDataset
from cai_kedro.datasets.recorded_raters import RecordedRaters
from tests.core.paths import HH_TEST, needs_hh

ASKED = [user("Hello"), assistant("Hi."), user("Help me.")]
GOOD, BAD = "Gladly.", "No."


def answer(text: str) -> list[Message]:
    return [assistant(text)]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    elif path.suffix == ".csv":
        pd.DataFrame(rows).to_csv(path, index=False)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    else:
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def raters(path: Path, rows: list[dict[str, Any]], **settings: Any) -> RecordedRaters:
    settings = {"objective": "helpfulness", **settings}
    return RatersDataset(kind="recorded", filepath=str(written(path, rows)), **settings).load()


def compared(table: pd.DataFrame) -> list[tuple[list[Message], str, str]]:
    return [
        (as_messages(row.messages), *sides[:: 1 if row.p_a_better else -1])
        for row in table.itertuples()
        for sides in [(row.response_a, row.response_b)]
    ]


FORMS: dict[str, dict[str, Any]] = {
    "hh-rlhf": {
        "chosen": render([*ASKED, *answer(GOOD)]),
        "rejected": render([*ASKED, *answer(BAD)]),
    },
    "TRL, explicit prompt": {"prompt": ASKED, "chosen": answer(GOOD), "rejected": answer(BAD)},
    "TRL, implicit prompt": {"chosen": [*ASKED, *answer(GOOD)], "rejected": [*ASKED, *answer(BAD)]},
    "TRL, texts": {"prompt": render(ASKED) + "\n\nAssistant:", "chosen": f" {GOOD}", "rejected": f" {BAD}"},
    "scores": {
        "messages": [*ASKED, *answer(GOOD)],
        "chosen": [*ASKED, *answer(GOOD)],
        "rejected": [*ASKED, *answer(BAD)],
        "score_chosen": 8.5,
        "score_rejected": 2.0,
    },
    "ratings": {
        "instruction": render(ASKED),
        "completions": [{"response": BAD, "rating": 1}, {"response": GOOD, "rating": 4}],
    },
    "a choice": {"messages": ASKED, "response_a": BAD, "response_b": GOOD, "preferred": "B"},
    "from and value": {
        "prompt": [{"from": {"user": "human", "assistant": "gpt"}[t["role"]], "value": t["content"]} for t in ASKED],
        "chosen": [{"from": "gpt", "value": GOOD}],
        "rejected": [{"from": "gpt", "value": BAD}],
    },
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".json", ".parquet"])
def test_every_form_in_every_file_says_the_same(tmp_path: Path, form: str, suffix: str) -> None:
    table = raters(tmp_path / f"c{suffix}", [FORMS[form]]).comparisons
    assert compared(table) == [(ASKED, GOOD, BAD)]
    assert table["objective"].tolist() == ["helpfulness"]


@pytest.mark.parametrize("form", ["hh-rlhf", "TRL, texts"])
def test_texts_in_csv(tmp_path: Path, form: str) -> None:
    assert compared(raters(tmp_path / "c.csv", [FORMS[form]]).comparisons) == [(ASKED, GOOD, BAD)]


def test_columns_are_mapped_and_a_value_may_stand_inside_another(tmp_path: Path) -> None:
    rows = [{"q": {"text": "How?"}, "prompt": "something else", "better": "So.", "worse": "No.", "axis": "safe"}]
    columns = {"prompt": "q.text", "chosen": "better", "rejected": "worse", "objective": "axis"}
    table = raters(tmp_path / "c.jsonl", rows, columns=columns, objectives={"safe": "harmlessness"}).comparisons
    assert compared(table) == [([user("How?")], "So.", "No.")]
    assert table["objective"].tolist() == ["harmlessness"]
    rated = {"instruction": "How?", "answers": [{"said": "a", "by": {"people": 3}}, {"said": "b", "by": {"people": 1}}]}
    inside = {"completions": "answers", "response": "said", "rating": "by.people"}
    assert compared(raters(tmp_path / "r.jsonl", [rated], columns=inside).comparisons) == [([user("How?")], "a", "b")]


def test_every_two_ratings_that_differ_enough_are_a_comparison(tmp_path: Path) -> None:
    said = [("a", 5), ("b", "5"), ("c", 3), ("d", 2.5), ("e", "N/A")]
    row = {"prompt": "How?", "completions": [{"response": text, "rating": rating} for text, rating in said]}
    pairs = {pair[1:] for pair in compared(raters(tmp_path / "c.jsonl", [row]).comparisons)}
    assert pairs == {("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"), ("c", "d")}
    pairs = {pair[1:] for pair in compared(raters(tmp_path / "c.jsonl", [row], min_rating_gap=2.5).comparisons)}
    assert pairs == {("a", "d"), ("b", "d")}


GOOD_ROW = {"prompt": "Why?", "chosen": "So.", "rejected": "No."}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({**FORMS["scores"], "score_rejected": 8.5}, "prefers no answer: the ratings are equal"),
        ({**FORMS["scores"], "score_chosen": 1.0}, "has a lower score for the chosen answer than for the rejected"),
        (
            {"prompt": "How?", "completions": [{"response": "a", "rating": 3}]},
            r"fewer than two completions with a rating in 'rating'; a completion has \['rating', 'response'\]",
        ),
        (
            {"prompt": "How?", "completions": [{"response": "a", "rating": 3}, {"response": "b", "rating": 3}]},
            "the ratings are equal",
        ),
        ({"messages": ASKED, "response_a": "a", "response_b": "b", "preferred": "tie"}, "prefers neither answer"),
        ({**FORMS["TRL, explicit prompt"], "prompt": [user("Other")], "chosen": [*ASKED, *answer("x")]}, "no human"),
        ({**FORMS["TRL, implicit prompt"], "prompt": "Other"}, "has another conversation in 'prompt'"),
    ],
)
def test_a_row_that_prefers_nothing_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, row: dict[str, Any], reason: str
) -> None:
    read = raters(tmp_path / "c.jsonl", [GOOD_ROW, row])
    assert compared(read.comparisons) == [([user("Why?")], "So.", "No.")]
    assert read.quarantine["reason"].str.contains(reason).tolist() == [True]
    assert "1 of 2 rows are left out: 1 × " in caplog.text


def test_a_file_that_is_mostly_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"2 of 3 rows cannot be used, expected at most half: line 2 has the same"):
        raters(tmp_path / "c.jsonl", [GOOD_ROW, *[{**GOOD_ROW, "rejected": "So."}] * 2])


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"columns": {"chosen": "better"}}, r"no row has the column 'better', .* gives for 'chosen'; expected one of"),
        ({"columns": {"better": "chosen"}}, "from our names to those of the source, and 'better' is none of ours"),
        ({"colums": {}}, r"the source of the rows: colums is unknown"),
        ({"objective": "great fun"}, "line 1 has the objective 'great fun'; expected the name of an axis"),
        ({"hub": {"repo": "a/b"}}, "expected either `filepath` or `hub`|needs `revision`, 40 hexadecimal digits"),
    ],
)
def test_settings_that_are_none(tmp_path: Path, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(DatasetError, match=told):
        raters(tmp_path / "c.jsonl", [GOOD_ROW], **settings)


def test_a_row_of_parquet_that_cannot_be_read_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [GOOD_ROW, {**GOOD_ROW, "prompt": "Who?"}, {**GOOD_ROW, "chosen": None}]
    read = raters(tmp_path / "c.parquet", rows)
    assert (len(read.comparisons), read.quarantine["line"].tolist()) == (2, [3])
    assert "1 × misses the column 'chosen'" in caplog.text
    assert "(such as row 3)" in caplog.text
    with pytest.raises(DatasetError, match=r"c\.parquet: row 3 misses the column 'chosen'"):
        raters(tmp_path / "c.parquet", rows, faulty_rows="refuse")
    assert len(raters(tmp_path / "c.jsonl", rows, faulty_rows="leave_out").comparisons) == 2


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("c.parquet", b"PAR1 no parquet PAR1", r"c\.parquet cannot be read behind row 0 .* expected a Parquet file"),
        ("c.json", b'{"prompt": "a"}', r"c\.json holds dict, expected a list of objects; JSON lines end on \.jsonl"),
        ("c.json", b"[1]", r"c\.json: row 1 holds int where an object"),
        ("c.json", b'[{"prompt"', r"c\.json is no JSON: .* holds one list of objects"),
    ],
)
def test_a_file_that_is_none(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=told):
        PromptsDataset(filepath=tmp_path / name).load()
    with pytest.raises(DatasetError, match=r"there is no file .*none\.parquet"):
        PromptsDataset(filepath=tmp_path / "none.parquet").load()


def test_parquet_without_the_column_names_those_that_it_has(tmp_path: Path) -> None:
    path = written(tmp_path / "p.parquet", [{"words": "a"}])
    with pytest.raises(DatasetError, match=r"the column 'prompt' \(or .*\) is missing, the columns are \['words'\]"):
        PromptsDataset(filepath=path).load()
    assert PromptsDataset(filepath=path, columns={"prompt": "words"}).load()["messages"].tolist() == [[user("a")]]


# --- prompts ---


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"text": "How?"}, [user("How?")]),
        ({"instruction": "Sort.", "input": "b a", "output": "a b", "text": "Below is"}, [user("Sort.\n\nb a")]),
        ({"instruction": "Sort.", "input": ""}, [user("Sort.")]),
        ({"prompt": "How?", "text": "note"}, [user("How?")]),
        ({"messages": ASKED, "prompt": None}, ASKED),
        ({"prompt": "How?", "system": "Be brief."}, [{"role": "system", "content": "Be brief."}, user("How?")]),
        (
            {"messages": [{"role": "system", "content": "Be brief."}, *ASKED]},
            [{"role": "system", "content": "Be brief."}, *ASKED],
        ),
        (FORMS["hh-rlhf"], ASKED),
        (FORMS["TRL, implicit prompt"], ASKED),
    ],
)
@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_every_field_of_a_prompt(tmp_path: Path, suffix: str, row: dict[str, Any], expected: list[Message]) -> None:
    table = PromptsDataset(filepath=written(tmp_path / f"p{suffix}", [row])).load()
    assert table["messages"].tolist() == [expected]


def test_an_answer_at_the_end_is_dropped_where_the_entry_says_so(tmp_path: Path) -> None:
    path = written(tmp_path / "p.jsonl", [{"messages": [*ASKED, *answer("x")]}])
    with pytest.raises(DatasetError, match="line 1 does not end on a human turn; cut the conversation"):
        PromptsDataset(filepath=path).load()
    assert PromptsDataset(filepath=path, drop_last_answer=True).load()["messages"].tolist() == [ASKED]


def test_a_file_is_split_by_a_share_and_stays_split_when_it_grows(tmp_path: Path) -> None:
    rows = [{"prompt": f"How do I do {i}?"} for i in range(400)]
    path = written(tmp_path / "p.jsonl", rows)

    def parts() -> tuple[set[str], set[str]]:
        return tuple(  # type: ignore[return-value]
            set(PromptsDataset(filepath=path, held_out_share=0.3, part=part).load()["prompt_id"])
            for part in ("train", "held_out")
        )

    train, held_out = parts()
    assert not train & held_out
    assert len(train | held_out) == 400
    assert len(held_out) == pytest.approx(120, abs=30)
    written(path, [*[{"prompt": f"More {i}?"} for i in range(50)], *rows])
    assert train < parts()[0]
    assert held_out < parts()[1]


def test_conversations_that_open_alike_are_on_one_side() -> None:
    for i in range(50):
        opening = user(f"How do I do {i}?")
        longer = [user(f"  how do I  DO {i}?"), assistant("So."), user("And then?")]
        assert is_held_out([opening], 0.5) == is_held_out(longer, 0.5)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"held_out_share": 0.3}, "`held_out_share`, between 0 and 1, and `part`, train or held_out, go together"),
        ({"held_out_share": 1.5, "part": "train"}, "between 0 and 1"),
        ({"held_out_share": 0.3, "part": "test"}, "`part` is train or held_out, got 'test'"),
        ({"columns": {"prompts": "a"}}, "did you mean prompt?"),
    ],
)
def test_settings_of_prompts_that_do_not_fit(tmp_path: Path, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(DatasetError, match=told):
        PromptsDataset(filepath=tmp_path / "p.jsonl", **settings)


def test_a_part_without_prompts_is_told_and_a_part_is_not_saved(tmp_path: Path) -> None:
    path = written(tmp_path / "p.jsonl", [{"prompt": "a"}])
    parts = [PromptsDataset(filepath=path, held_out_share=0.5, part=part) for part in ("train", "held_out")]
    (empty,) = [part for part in parts if is_held_out([user("a")], 0.5) != (part._part == "held_out")]
    with pytest.raises(DatasetError, match="none of 1 prompts is in the part"):
        empty.load()
    with pytest.raises(DatasetError, match="not saved by a run"):
        empty.save(PromptsDataset(filepath=path).load())


def test_equal_prompts_of_public_data_count_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path / "p.parquet", [{"prompt": "a"}, {"prompt": " a"}, {"prompt": "b"}])
    assert len(PromptsDataset(filepath=path).load()) == 2
    assert "1 prompts stand there again and count once" in caplog.text


@needs_hh
def test_the_conversations_of_real_comparisons_are_prompts() -> None:
    table = PromptsDataset(filepath=HH_TEST, faulty_rows="leave_out").load()
    comparisons = RecordedRaters(HH_TEST, objective="harmlessness").comparisons
    assert set(comparisons["prompt_id"]) <= set(table["prompt_id"])


# --- data sets of the hub ---


@pytest.fixture
def hub_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    for name in ("train", "test"):
        folder = tmp_path / "data_set" / "harmless"
        folder.mkdir(parents=True, exist_ok=True)
        written(folder / f"{name}.jsonl", [FORMS["TRL, implicit prompt"] | {"number": name}])
    return tmp_path / "data_set"


def test_a_data_set_in_the_layout_of_the_hub(hub_folder: Path) -> None:
    hub = {"repo": str(hub_folder), "split": "test", "data_dir": "harmless"}
    read = RatersDataset(kind="recorded", hub=hub, objective="harmlessness", columns={"prompt_id": "number"}).load()
    assert compared(read.comparisons) == [(ASKED, GOOD, BAD)]
    assert read.comparisons["prompt_id"].tolist() == ["test"]
    prompts = PromptsDataset(hub=hub)
    assert prompts.exists()
    assert prompts.load()["messages"].tolist() == [ASKED]
    with pytest.raises(DatasetError, match=rf"the data set {hub_folder} \(harmless, other\) cannot be loaded .*split"):
        PromptsDataset(hub={**hub, "split": "other"}).load()


def test_a_data_set_of_the_hub_has_a_revision_and_offline_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatasetError, match="needs `revision`, 40 hexadecimal digits: what stands there may change"):
        PromptsDataset(hub={"repo": "some/where"})
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(DatasetError, match=r"some/where@aaaaaaa \(train\) cannot be loaded .* Without a network"):
        PromptsDataset(hub={"repo": "some/where", "revision": "a" * 40}).load()
