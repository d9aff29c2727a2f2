from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pandas as pd
import pytest
from click.testing import CliRunner
from kedro.io import DataCatalog, MemoryDataset, Version
from kedro.pipeline import Node, Pipeline
from kedro_datasets.pandas import CSVDataset

from cai_kedro.datasets.model_checkpoint_dataset import ModelCheckpointDataset
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.hooks import preflight
from cai_kedro.hooks.preflight import Preflight, PreflightError
from cai_kedro.hooks.preflight_checks import disk_faults, input_faults, model_faults


def _use(data: Any) -> Any:
    return data


class Broken(MemoryDataset):
    def load(self) -> Any:
        raise ValueError("critique_principles.yml: entry 3 lacks 'title'; add it")


def test_an_input_that_another_pipeline_makes(tmp_path: Path) -> None:
    missing = CSVDataset(filepath=str(tmp_path / "sl.csv"), version=Version(None, None))
    made = Pipeline([Node(lambda: 1, None, "sl_rows@frame", name="make")])
    (fault,) = input_faults(
        Pipeline([Node(_use, "sl_rows@pandas", "out")]),
        DataCatalog({"sl_rows@pandas": missing}),
        {"__default__": made, "sl_cai": made},
    )
    assert fault == (
        f"the dataset 'sl_rows@pandas' is not there (looked at {tmp_path}/sl.csv); "
        "make it with `kedro run --pipelines=sl_cai`"
    )


def test_an_input_that_is_not_in_the_catalog() -> None:
    (fault,) = input_faults(Pipeline([Node(_use, "misspelt", "out")]), DataCatalog({}), {})
    assert "'misspelt' is not in the catalog" in fault


@pytest.mark.parametrize("name", ["constitution", "given_helpful_prompts"])
def test_what_people_write_is_read(name: str) -> None:
    pipeline = Pipeline([Node(_use, name, "out")])
    (fault,) = input_faults(pipeline, DataCatalog({name: Broken(1)}), {})
    assert fault == f"the dataset '{name}' cannot be read: critique_principles.yml: entry 3 lacks 'title'; add it"
    assert list(input_faults(pipeline, DataCatalog({name: MemoryDataset(1)}), {})) == []


def test_a_model_directory_has_to_be_complete(tmp_path: Path, tiny_lm: LanguageModel) -> None:
    source = {"source": "path", "path": "model"}
    assert "there is no model directory" in next(model_faults(source, tmp_path))
    tiny_lm.model.save_pretrained(tmp_path / "model")
    tiny_lm.tokenizer.save_pretrained(tmp_path / "model")
    assert list(model_faults(source, tmp_path)) == []
    (tmp_path / "model" / "model.safetensors").unlink()
    (fault,) = model_faults(source, tmp_path)
    assert "misses weights" in fault
    assert "save_pretrained" in fault
    assert "base_model.path is empty" in next(model_faults({"source": "path", "path": None}, tmp_path))


@pytest.mark.parametrize("how", ["checkpoint", "engine"])
def test_a_model_of_an_earlier_run_has_to_be_complete(tmp_path: Path, tiny_lm: LanguageModel, how: str) -> None:
    model = ModelCheckpointDataset(filepath=str(tmp_path / "sl_cai"), version=Version(None, None))
    model.save(tiny_lm)
    name = f"sl_cai.model@{how}"
    pipeline = Pipeline([Node(_use, name, "out")])
    assert list(input_faults(pipeline, DataCatalog({name: model}), {})) == []
    next(tmp_path.rglob("model.safetensors")).unlink()
    (fault,) = input_faults(pipeline, DataCatalog({name: model}), {})
    assert fault.startswith("the model 'sl_cai.model' cannot be read: the model directory ")
    assert "misses weights" in fault


def test_a_hub_model_has_to_be_pinned(tmp_path: Path) -> None:
    hub = {"source": "hub", "hub": {"repo": "some/model", "revision": None}}
    assert "one commit" in next(model_faults(hub, tmp_path))
    assert list(model_faults({"source": "shipped"}, tmp_path)) == []


def test_the_data_folder_needs_room(tmp_path: Path) -> None:
    assert list(disk_faults(tmp_path / "data", min_free=0)) == []
    (fault,) = disk_faults(tmp_path / "data", min_free=10**18)
    assert "a run needs about" in fault
    (tmp_path / "file").write_text("")
    (fault,) = disk_faults(tmp_path / "file" / "data")
    assert "cannot write to" in fault


def test_all_faults_are_told_at_once_and_nothing_runs(
    tmp_path: Path, run_with: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Pipeline([Node(lambda a, b: pytest.fail("ran"), ["constitution", "misspelt"], "out", name="n")])
    monkeypatch.setattr(preflight, "pipelines", {"__default__": pipeline})
    with pytest.raises(PreflightError) as raised:
        run_with([Preflight()], pipeline, DataCatalog({"constitution": Broken(1)}), project_path=str(tmp_path))
    assert str(raised.value).split("\n") == [
        "nothing was run, there is more than one fault:",
        "- the dataset 'constitution' cannot be read: critique_principles.yml: entry 3 lacks 'title'; add it",
        "- the dataset 'misspelt' is not in the catalog; add it to conf, or correct its name in the pipeline",
    ]


def test_parameters_are_checked_when_the_context_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(seed: int) -> int:
        return seed

    monkeypatch.setattr(preflight, "pipelines", {"__default__": Pipeline([Node(train, "params:seed", "out")])})
    context: Any = SimpleNamespace(config_loader={"parameters": {"seed": "one"}})
    with pytest.raises(PreflightError, match="nothing was run: parameter 'seed': input should be a valid integer"):
        Preflight().after_context_created(context)


def test_the_command_line_shows_no_traceback() -> None:
    @click.command()
    def run() -> None:
        raise PreflightError("nothing was run: the constitution has no principle")

    result = CliRunner().invoke(run)
    assert result.exit_code == 1
    assert result.output == "Error: nothing was run: the constitution has no principle\n"


def test_a_table_is_not_read_before_the_run(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_csv(tmp_path / "rows.csv")
    catalog = DataCatalog({"rows": CSVDataset(filepath=str(tmp_path / "rows.csv"), load_args={"no_such": 1})})
    assert list(input_faults(Pipeline([Node(_use, "rows", "out")]), catalog, {})) == []
