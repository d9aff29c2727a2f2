"""Blind sheets of free English, and the agreement of those that were filled in."""

from pathlib import Path

import pandas as pd
import pytest
from scripts.second_reading import agreements, main, write_sheets

from cai_kedro.core.csv_text import as_csv
from cai_kedro.free_english.reader import free_pairs


def filled(folder: Path, name: str, **columns: object) -> None:
    sheet = pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)
    (folder / f"{name}.csv").write_text(sheet.assign(**columns).to_csv(index=False), encoding="utf-8")


def test_a_sheet_shows_all_and_tells_nothing(tmp_path: Path) -> None:
    write_sheets(tmp_path)
    sheet = pd.read_csv(tmp_path / "pairs.csv", dtype=str, keep_default_na=False)
    assert list(sheet) == ["number", "conversation", "first", "second", "question", "more"]
    assert (sheet["more"] == "").all()
    assert sorted(sheet["question"]) == sorted(free_pairs()["question_more"])
    assert list(sheet["first"]) != list(free_pairs()["first"])
    assert "free-" not in (tmp_path / "requests.csv").read_text(encoding="utf-8")


def test_agreement_counts_what_was_filled_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_sheets(tmp_path)
    sheet = pd.read_csv(tmp_path / "pairs.csv", dtype=str, keep_default_na=False)
    labels = dict(zip(free_pairs()["first"], free_pairs()["more"], strict=True))
    more = sheet["first"].map(labels)
    more[:20] = more[:20].map({"first": "second", "second": "First "})
    more[200:] = ""
    (tmp_path / "pairs.csv").write_text(as_csv(sheet.assign(more=more)), encoding="utf-8")
    (share, alpha) = agreements(tmp_path)["pairs.more"]
    assert (share["value"], share["n"]) == (0.9, 200)
    assert alpha["value"] == pytest.approx(0.8, abs=0.01)
    main("agree", tmp_path)
    assert capsys.readouterr().out.startswith("pairs.more: 0.90 (0.85 to 0.93) alike, alpha 0.80")


def test_what_is_no_label_and_a_sheet_with_rows_missing_are_told(tmp_path: Path) -> None:
    write_sheets(tmp_path)
    filled(tmp_path, "requests", harmful="maybe")
    with pytest.raises(ValueError, match=r"requests\.csv, harmful: \['maybe'\] is no label; expected \['no', 'yes'\]"):
        agreements(tmp_path)
    sheet = pd.read_csv(tmp_path / "requests.csv", dtype=str)
    sheet[1:].to_csv(tmp_path / "requests.csv", index=False)
    with pytest.raises(ValueError, match="expected the rows 1 to 212 in order"):
        agreements(tmp_path)
