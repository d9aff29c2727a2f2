"""A model on a server as a catalog entry: its faults, its place in a run, and its key, which stays where it is."""

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog, DatasetError
from kedro.pipeline import Node, Pipeline

from cai_kedro.datasets.server_engine_dataset import ServerEngineDataset
from cai_kedro.engines.openai_engine import OpenAIEngine
from cai_kedro.hooks.faults import PreflightError
from cai_kedro.hooks.preflight import Preflight
from cai_kedro.microworld.shipped import shipped_directory
from tests.project_copy import PROJECT, copy_project, kedro_run
from tests.servers import DO_SAMPLE, settings, transformers_serve

KEY = "sk-Very-Secret-0123456789"
NAME = "pretrained.model@engine"
TYPE = "cai_kedro.datasets.server_engine_dataset.ServerEngineDataset"
NOWHERE = "http://127.0.0.1:9/v1"


def entry(base_url: str, **changed: Any) -> dict[str, Any]:
    return {"type": TYPE, **settings(base_url, **changed).model_dump(), "credentials": "my_server"}


def catalog_of(one: dict[str, Any]) -> DataCatalog:
    return DataCatalog.from_config({NAME: one}, {"my_server": {"api_key": KEY}})


def test_the_entry_becomes_an_engine_and_shows_no_key() -> None:
    catalog = catalog_of(entry(NOWHERE))
    assert isinstance(catalog.load(NAME), OpenAIEngine)
    assert catalog.exists(NAME)
    config, credentials, *_ = catalog.to_config()
    told = f"{catalog} {catalog[NAME]!r} {catalog[NAME]} {vars(catalog.load(NAME))} {config}"
    assert "127.0.0.1:9" in told
    assert KEY not in told
    assert KEY in str(credentials)  # the test looks for what is there
    with pytest.raises(DatasetError, match="is read from a server"):
        catalog.save(NAME, object())


def test_the_commented_entry_of_conf_is_whole() -> None:
    text = (PROJECT / "conf" / "base" / "catalog_models.yml").read_text()
    lines = [line.removeprefix("#")[1:] for line in text[text.index(f"# {NAME}:") :].split("\n") if line.strip()]
    assert isinstance(catalog_of(yaml.safe_load("\n".join(lines))[NAME]).load(NAME), OpenAIEngine)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"concurency": 3}, "concurency is unknown"),
        ({"api_key": KEY}, "api_key is unknown"),
        ({"api": "responses"}, "api Input should be 'completions' or 'chat'"),
        ({"base_url": f"http://me:{KEY}@127.0.0.1/v1"}, "keys belong into credentials.yml"),
        ({"credentials": {"token": KEY}}, "are one `api_key`, got 'token'"),
    ],
)
def test_a_wrong_entry_is_told_without_its_values(changed: dict[str, Any], match: str) -> None:
    arguments = {name: value for name, value in entry(NOWHERE).items() if name not in ("type", "credentials")}
    with pytest.raises(DatasetError, match=match) as told:
        ServerEngineDataset(**{**arguments, **changed})
    assert KEY not in str(told.value)
    with pytest.raises(DatasetError, match="model is missing"):
        ServerEngineDataset(**{name: value for name, value in arguments.items() if name != "model"})


def test_the_extra_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    monkeypatch.delitem(sys.modules, "cai_kedro.engines.server")
    with pytest.raises(DatasetError, match=r"needs the package 'openai': pip install .*\[client\]"):
        ServerEngineDataset(base_url=NOWHERE)


def test_a_run_is_refused_if_the_server_does_not_answer(tmp_path: Path) -> None:
    catalog = catalog_of(entry(NOWHERE))
    pipeline = Pipeline([Node(lambda engine: engine, NAME, "out", name="n")])
    with pytest.raises(PreflightError) as told:
        Preflight().before_pipeline_run({"project_path": tmp_path}, pipeline, catalog)
    fault = f"nothing was run: the model '{NAME}': the server 127.0.0.1:9, model 'micro_lm': cannot be reached"
    assert str(told.value).startswith(fault)


@pytest.mark.slow
def test_a_run_with_a_server_and_its_key(tmp_path: Path) -> None:
    """One real stage on a real server; then no file and no line of the run holds the key."""
    project = copy_project(tmp_path)
    conf = project / "conf" / "smoke"
    with transformers_serve() as base_url:
        one = entry(
            base_url,
            model=str(shipped_directory()),
            prompt_prefix="<eos>",
            logprobs="none",
            extra_body=DO_SAMPLE,
        )
        (conf / "catalog.yml").write_text(yaml.safe_dump({NAME: one}))
        (conf / "credentials.yml").write_text(yaml.safe_dump({"my_server": {"api_key": KEY}}))
        node = "--nodes=data_generation.generate_red_team_prompts"
        done = kedro_run(project, "--env=smoke", node, code="import logging; logging.basicConfig(level=logging.DEBUG)")
        assert done.returncode == 0, done.stderr[-3000:]
        (table,) = (project / "data" / "smoke" / "02_intermediate").rglob("*.parquet/*/*.parquet")
        assert set(pd.read_parquet(table)["source"]) == {"generated"}
    assert KEY not in done.stdout + done.stderr
    holders = [file for file in project.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()]
    assert holders == [conf / "credentials.yml"]
    assert (project / "mlflow.db").is_file()
