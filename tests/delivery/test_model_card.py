"""The model card: a table that is older than the model is no table of it, and what is not known is said."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog, MemoryDataset, Version
from kedro.pipeline import Pipeline, node

from cai_kedro.core.lineage import Lineage
from cai_kedro.datasets.csv_dataset import CsvDataset
from cai_kedro.datasets.model_checkpoint_dataset import ModelCheckpointDataset
from cai_kedro.delivery.facts import NOT_MEASURED, SUMMARY, _end_table, _how, _origin, _trained, _versions
from cai_kedro.delivery.model_card import CardFacts, InputFile, model_card
from cai_kedro.engines.model_reference import ModelReference
from cai_kedro.microworld.shipped import shipped_directory
from tests.project_copy import PROJECT

FACTS = CardFacts(
    policy="rl_cai",
    env="base",
    made="2026-01-02T00.00.00.000Z",
    how="It was trained.",
    origin="`org/name` at commit `abc`",
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


def test_a_model_that_was_not_trained_is_not_said_to_be() -> None:
    card = model_card(replace(FACTS, how=""))
    assert "1,234,567 parameters, `org/name` at commit `abc`." in card
    assert "which did not train it." in card
    assert "was trained by" not in card
    assert "## What the run was made of" in card


def lineage(**policies: dict[str, object] | None) -> Lineage:
    """The policies of conf/base with some changed."""
    file = PROJECT / "conf" / "base" / "parameters_lineage.yml"
    told = yaml.safe_load(file.read_text())["lineage"]
    return Lineage.model_validate({**told, "policies": {**told["policies"], **policies}})


def test_where_a_model_is_from(tmp_path: Path) -> None:
    reference = ModelCheckpointDataset(filepath=str(tmp_path / "helpful_rlhf"), version=Version(None, None))
    reference.save(ModelReference(path=str(shipped_directory())))
    catalog = DataCatalog({"helpful_rlhf.model@checkpoint": reference})
    own = lineage(helpful_rlhf={"given": str(tmp_path / "secret" / "assistant")})
    gguf = {"source": "gguf", "gguf": str(tmp_path / "secret" / "small.Q4_1.gguf")}
    for policy in ("pretrained", "sl_cai", "rl_cai"):
        assert _origin(policy, own, catalog, gguf) == "that of the GGUF file `small.Q4_1.gguf`"
    assert _origin("helpful_rlhf", own, catalog, gguf) == f"that of the directory `{shipped_directory().name}`"
    assert _origin("hh_rlhf", own, catalog, {"source": "shipped"}).startswith("the micro LM that comes with")
    as_base = lineage(helpful_rlhf={"given": "pretrained"})
    assert _origin("helpful_rlhf", as_base, catalog, gguf) == "that of the GGUF file `small.Q4_1.gguf`"


def test_how_a_model_was_trained_if_it_was() -> None:
    usual, own = lineage(), lineage(helpful_rlhf={"given": "pretrained"}, sl_cai={"given": "/a/model.gguf"})
    assert _how("pretrained", usual) == _how("helpful_rlhf", own) == _how("sl_cai", own) == ""
    assert _how("sl_cai", usual).startswith("It was fine-tuned from `pretrained` on revised answers")
    assert "from the comparisons `ai`, `human_helpfulness`, `sl_helpfulness`" in _how("rl_cai", usual)
    told = _how("rl_cai_judge", lineage(rl_cai_judge={"start": "sl_cai", "reward": "judge"}))
    assert told.startswith("It was trained from `sl_cai` by ppo (§4), with the labeller's judgement of each reply as")


def choices(**kept: list[bool]) -> DataCatalog:
    """Tables of which snapshot of an arm is kept."""
    tables = {
        f"{arm}.snapshot_choice": pd.DataFrame({"step": [10 * i for i in range(len(of))], "kept": of})
        for arm, of in kept.items()
    }
    return DataCatalog({name: MemoryDataset(table) for name, table in tables.items()})


def test_a_policy_that_kept_its_start_is_told_as_that_one() -> None:
    usual = lineage(rl_again={"start": "rl_cai", "comparisons": ["ai"], "algorithm": "ppo"})
    none = choices(rl_cai=[False, True])
    assert [_trained(policy, usual, none) for policy in ("rl_cai", "hh_rlhf", "sl_cai")] == [
        ("rl_cai", ""), ("hh_rlhf", ""), ("sl_cai", ""),
    ]  # fmt: skip
    closed = (
        "`rl_cai` is `sl_cai` as it was: its preference model did not pass the gate (`rlhf.gate`), so there was no RL."
    )
    assert _trained("rl_cai", usual, choices(rl_cai=[True])) == ("sl_cai", closed)
    in_vain = "`rl_again` is `rl_cai` as it was: its training brought no clearly better policy."
    assert _trained("rl_again", usual, choices(rl_cai=[True], rl_again=[True, False])) == (
        "sl_cai", f"{in_vain} {closed}",
    )  # fmt: skip
    assert _trained("helpful_rlhf", usual, choices(helpful_rlhf=[True]))[0] == "pretrained"
    given = lineage(rl_cai={"given": "/a/model.gguf"})
    assert _trained("rl_cai", given, choices(rl_cai=[True])) == ("rl_cai", ""), "of another run"


@pytest.mark.parametrize("how", ["It was fine-tuned.", ""])
def test_the_card_says_that_no_rl_changed_the_model(how: str) -> None:
    card = model_card(replace(FACTS, how=how, kept="`rl_cai` is `sl_cai` as it was: it is."))
    assert " `rl_cai` is `sl_cai` as it was: it is." in card
    assert (
        "It was fine-tuned. `rl_cai` is `sl_cai` as it was: it is. The pretrained model: `org/name`" in card
    ) == bool(how)
    assert "as it was" not in model_card(replace(FACTS, how=how))


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
