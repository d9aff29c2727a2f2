"""A model on a server as a catalog entry: its place in a run, and its key, which stays where it is."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from kedro.io import DataCatalog, DatasetError
from kedro.pipeline import Node, Pipeline

from cai_kedro.datasets.engine_dataset import EngineDataset
from cai_kedro.engines.openai_engine import OpenAIEngine
from cai_kedro.hooks.faults import PreflightError
from cai_kedro.hooks.preflight import Preflight
from cai_kedro.microworld.shipped import shipped_directory
from tests.project_copy import copy_project, kedro_run
from tests.servers import DO_SAMPLE, settings, transformers_serve

KEY = "sk-Very-Secret-0123456789"
NAME = "pretrained.model@engine"
TYPE = "cai_kedro.datasets.engine_dataset.EngineDataset"
NOWHERE = "http://127.0.0.1:9/v1"


def engine(base_url: str, **changed: Any) -> dict[str, Any]:
    return {"kind": "server", **settings(base_url, **changed).model_dump(), "credentials": "my_server"}


def entry(base_url: str, **changed: Any) -> dict[str, Any]:
    return {"type": TYPE, "engine": engine(base_url, **changed)}


def catalog_of(one: dict[str, Any], name: str = NAME) -> DataCatalog:
    return DataCatalog.from_config({name: one}, {"my_server": {"api_key": KEY}})


def test_the_entry_becomes_an_engine_and_shows_no_key() -> None:
    catalog = catalog_of(entry(NOWHERE))
    assert isinstance(catalog.load(NAME), OpenAIEngine)
    assert catalog.exists(NAME)
    config, credentials, *_ = catalog.to_config()
    told = f"{catalog} {catalog[NAME]!r} {catalog[NAME]} {vars(catalog.load(NAME))} {config}"
    assert "127.0.0.1:9" in told
    assert KEY not in told
    assert KEY in str(credentials)  # the test looks for what is there
    with pytest.raises(DatasetError, match="a model on a server is read as an engine"):
        catalog.save(NAME, object())


def test_a_pattern_may_stand_for_a_server() -> None:
    """`engine: server` in globals.yml gives every model an entry with a directory, which is not looked at."""
    pattern = {**entry(NOWHERE), "filepath": "nowhere/{name}", "versioned": True}
    catalog = catalog_of(pattern, "{name}.model@engine")
    assert isinstance(catalog.load(NAME), OpenAIEngine)
    assert catalog.exists(NAME)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"concurency": 3}, "concurency is unknown"),
        ({"api_key": KEY}, "api_key is unknown"),
        ({"base_url": f"http://me:{KEY}@127.0.0.1/v1"}, "keys belong into credentials.yml"),
        ({"credentials": {"token": KEY}}, "are one `api_key`, got 'token'"),
    ],
)
def test_a_wrong_entry_is_told_without_its_values(changed: dict[str, Any], match: str) -> None:
    right = {name: value for name, value in engine(NOWHERE).items() if name != "credentials"}
    with pytest.raises(DatasetError, match=match) as told:
        EngineDataset(engine={**right, **changed})
    assert KEY not in str(told.value)


@pytest.mark.parametrize("name", [NAME, "my_labeller"])
def test_a_run_is_refused_if_the_server_does_not_answer(tmp_path: Path, name: str) -> None:
    catalog = catalog_of(entry(NOWHERE), name)
    pipeline = Pipeline([Node(lambda engine: engine, name, "out", name="n")])
    with pytest.raises(PreflightError) as told:
        Preflight().before_pipeline_run({"project_path": tmp_path}, pipeline, catalog)
    fault = f"nothing was run: the model '{name}': the server 127.0.0.1:9, model 'micro_lm': cannot be reached"
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
