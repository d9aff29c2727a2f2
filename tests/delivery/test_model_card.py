"""The model card: a table that is older than the model is no table of it, and what is not known is said."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset, Version
from kedro.pipeline import Pipeline, node

from cai_kedro.datasets.csv_dataset import CsvDataset
from cai_kedro.delivery.facts import NOT_MEASURED, SUMMARY, _end_table, _versions
from cai_kedro.delivery.model_card import CardFacts, InputFile, model_card

FACTS = CardFacts(
    policy="rl_cai",
    env="base",
    made="2026-01-02T00.00.00.000Z",
    how="It was trained.",
    base="`org/name` at commit `abc`",
    parameters=1234567,
    weights_sha256="w" * 64,
    layout="hh",
    stops=("\n\nHuman:",),
    ends=("<eos>",),
    sampling="temperature 1.0",
    constitution_sha256="c" * 64,
    principles=["Less harm", "A | bar"],
    seed="7",
    machine="a machine",
    command="kedro run",
    commit="deadbeef",
    recorded=True,
    files=[InputFile("prompts", "data/01_raw/p.jsonl", "f" * 64)],
    versions={"v1": ["a", "b"]},
    table="policy  Elo",
)


def test_the_card_holds_every_fact() -> None:
    card = model_card(FACTS)
    assert card.startswith("---\nlibrary_name: transformers\n")
    for part in ("# rl_cai", "1,234,567 parameters", "`org/name` at commit `abc`", "w" * 64, "c" * 64, "| seed | 7 |"):
        assert part in card
    for part in ("a machine", "`kedro run`", "`deadbeef`", "data/01_raw/p.jsonl", "- `v1`: a, b", "policy  Elo"):
        assert part in card
    assert r"Less harm; A \| bar." in card, "a bar would end a cell"
    assert r"`'\n\nHuman:'`" in card
    assert "MLflow has no record" not in card


def test_a_card_without_a_record_says_so() -> None:
    card = model_card(
        replace(FACTS, recorded=False, command="", commit="", stops=(), table="", no_table="Not measured.")
    )
    assert "MLflow has no record of the run that made this model" in card
    assert "| command | not recorded |" in card
    assert "## How it did\n\nNot measured." in card
    assert "stop strings" not in card


def summary() -> pd.DataFrame:
    row = {"policy": "rl_cai", "metric": "harmlessness_elo", "value": 12.0, "low": 3.0, "high": 20.0, "n": 9}
    return pd.DataFrame([row])


@pytest.fixture
def catalog(tmp_path: Path) -> DataCatalog:
    table = CsvDataset(filepath=tmp_path / "summary.csv", version=Version(None, "2026-01-02T00.00.00.000Z"))
    table.save(summary())
    return DataCatalog({SUMMARY: table, NOT_MEASURED: MemoryDataset(pd.DataFrame({"line": ["behaviour"]}))})


def test_a_table_of_the_same_run_is_shown_with_what_it_lacks(catalog: DataCatalog) -> None:
    table, missing = _end_table(catalog, "2026-01-02T00.00.00.000Z")
    assert "12 [3, 20]" in table
    assert table.endswith("not measured: behaviour")
    assert missing == ""


def test_a_table_from_before_the_model_is_not_shown(catalog: DataCatalog) -> None:
    table, missing = _end_table(catalog, "2026-01-03T00.00.00.000Z")
    assert table == ""
    assert "the last evaluation is older than this model. `kedro run --pipelines=evaluation,reporting`" in missing


def test_no_evaluation_at_all() -> None:
    table, missing = _end_table(DataCatalog({}), "2026-01-03T00.00.00.000Z")
    assert table == ""
    assert "the run was not evaluated" in missing


def test_only_versions_of_what_the_model_was_made_of() -> None:
    made_by = Pipeline([node(lambda rows: rows, "rows", "m.model@checkpoint", name="train")])
    tags = {"loaded.rows": "v1", "saved.m.model": "v2", "saved.other": "v2", "env": "base", "save_version": "v2"}
    assert _versions(tags, made_by) == {"v2": ["m.model"], "v1": ["rows"]}
