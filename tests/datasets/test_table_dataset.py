from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError, Version

from cai_kedro.core.conversation import assistant, user
from cai_kedro.datasets.table_dataset import TableDataset

PROMPTS = pd.DataFrame(
    {
        "prompt_id": ["p1", "p2"],
        "messages": [[user("Hi\u2028there")], [user("a"), assistant("b"), user("c")]],
        "source": "given",
        "split": "train",
    }
)
REVISIONS = pd.DataFrame(
    {"prompt_id": ["p"], "sample": [0], "step": [1], "principle_id": ["x"], "critique": [None], "revision": ["r"]}
)


def test_messages_come_back_as_they_were(tmp_path: Path) -> None:
    dataset = TableDataset(filepath=tmp_path / "a_prompts.parquet", kind="prompts")
    dataset.save(PROMPTS)
    loaded = dataset.load()
    assert loaded["messages"].tolist() == PROMPTS["messages"].tolist()
    assert loaded.drop(columns="messages").equals(PROMPTS.drop(columns="messages"))


def test_null_text_stays_null(tmp_path: Path) -> None:
    dataset = TableDataset(filepath=tmp_path / "revisions.parquet", kind="revisions")
    dataset.save(REVISIONS)
    assert dataset.load()["critique"].isna().all()


def test_a_table_without_rows(tmp_path: Path) -> None:
    dataset = TableDataset(filepath=tmp_path / "a_prompts.parquet", kind="prompts")
    dataset.save(PROMPTS.head(0))
    assert list(dataset.load().columns) == list(PROMPTS.columns)


def test_same_table_same_bytes_whatever_the_order_of_keys(tmp_path: Path) -> None:
    turned = PROMPTS.assign(
        messages=[[{"content": t["content"], "role": t["role"]} for t in cell] for cell in PROMPTS["messages"]]
    )
    for name, table in (("a", PROMPTS), ("b", turned)):
        TableDataset(filepath=tmp_path / name, kind="prompts").save(table)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_unknown_kind_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no table kind 'promts'; the kinds are prompts, responses"):
        TableDataset(filepath=tmp_path / "x", kind="promts")


def test_a_bad_table_is_refused_when_saved_and_nothing_is_written(tmp_path: Path) -> None:
    dataset = TableDataset(filepath=tmp_path / "a_prompts.parquet", kind="prompts")
    with pytest.raises(DatasetError, match=r"a_prompts.parquet: a prompts table needs .* missing \['split'\]"):
        dataset.save(PROMPTS.drop(columns="split"))
    assert not list(tmp_path.iterdir())


def test_a_bad_table_is_refused_when_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a_prompts.parquet"
    PROMPTS.assign(source="dreamt").to_parquet(path)
    with pytest.raises(DatasetError, match=r"a_prompts.parquet: this is no valid prompts table .*'source' row 0"):
        TableDataset(filepath=path, kind="prompts").load()


def test_what_is_no_parquet_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a_prompts.parquet"
    path.write_text("prompt_id,messages\n")
    with pytest.raises(DatasetError, match=r"a_prompts.parquet cannot be read as Parquet, where a prompts table"):
        TableDataset(filepath=path, kind="prompts").load()


def test_what_is_no_table_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"takes a prompts table \(DataFrame\), got list"):
        TableDataset(filepath=tmp_path / "x", kind="prompts").save([])  # type: ignore[arg-type]


def test_a_url_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"works on local or mounted disks, got the URL s3://"):
        TableDataset(filepath="s3://bucket/a_prompts.parquet", kind="prompts")


def _at(path: Path, save: str, load: str | None = None) -> TableDataset:
    return TableDataset(filepath=path, kind="revisions", version=Version(load, save))


def test_a_run_reads_what_it_wrote_and_the_next_one_the_latest(tmp_path: Path) -> None:
    path = tmp_path / "revisions.parquet"
    _at(path, "2026-01-01T00.00.00.000Z").save(REVISIONS)
    writer, reader = (_at(path, "2026-01-02T00.00.00.000Z") for _ in range(2))
    assert reader.load()["revision"].item() == "r"  # the old one, and its version is cached now
    writer.save(REVISIONS.assign(revision="new"))
    assert reader.load()["revision"].item() == "new"
    assert _at(path, "2026-01-03T00.00.00.000Z").load()["revision"].item() == "new"
    assert _at(path, "2026-01-03T00.00.00.000Z", load="2026-01-01T00.00.00.000Z").load()["revision"].item() == "r"


def test_exists_is_false_before_and_true_after(tmp_path: Path) -> None:
    dataset = _at(tmp_path / "revisions.parquet", "2026-01-01T00.00.00.000Z")
    assert not dataset.exists()
    dataset.save(REVISIONS)
    assert dataset.exists()


def test_a_version_is_never_overwritten(tmp_path: Path) -> None:
    dataset = _at(tmp_path / "revisions.parquet", "2026-01-01T00.00.00.000Z")
    dataset.save(REVISIONS)
    with pytest.raises(DatasetError, match="must not exist if versioning is enabled"):
        dataset.save(REVISIONS)
