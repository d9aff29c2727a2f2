from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pandas as pd
import pytest
from click.testing import CliRunner
from kedro.io import DataCatalog, DatasetError, MemoryDataset, Version
from kedro.pipeline import Node, Pipeline
from kedro_datasets.pandas import CSVDataset

from cai_kedro.datasets.constitution_dataset import ConstitutionDataset
from cai_kedro.datasets.model_checkpoint_dataset import ModelCheckpointDataset
from cai_kedro.engines.language_model import LanguageModel
from cai_kedro.hooks import preflight
from cai_kedro.hooks.conf_checks import pipeline_faults
from cai_kedro.hooks.config_loader import ConfigLoader
from cai_kedro.hooks.faults import PreflightError
from cai_kedro.hooks.preflight import Preflight
from cai_kedro.hooks.preflight_checks import constitution_warnings, disk_faults, input_faults, model_faults
from cai_kedro.settings import CONFIG_LOADER_ARGS


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


def _context(project: Path, env: str = "local", **files: str) -> Any:
    """A context of a project with these files in conf/local; conf/base has what a run needs."""
    given = {"base/parameters": "seed: 0", "base/catalog": "{}", "base/mlflow": "{}"}
    for name, text in {**given, **{f"local/{name}": text for name, text in files.items()}}.items():
        file = project / "conf" / f"{name}.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode("latin-1"))
    (project / "conf" / "local").mkdir(exist_ok=True)
    return SimpleNamespace(config_loader=ConfigLoader(str(project / "conf"), env=env, **CONFIG_LOADER_ARGS))


def test_parameters_are_checked_when_the_context_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(seed: int) -> int:
        return seed

    monkeypatch.setattr(preflight, "pipelines", {"__default__": Pipeline([Node(train, "params:seed", "out")])})
    context = _context(tmp_path, parameters="seed: one")
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


@pytest.mark.parametrize(
    ("files", "match"),
    [
        (
            {"parameters": "a: [1,\nb: 2\n"},
            r"conf/local/parameters\.yml, line 3, column 1: did not find expected .*; correct it there",
        ),
        ({"catalog": "a: 1\na: 2\n"}, r"conf/local/catalog\.yml, line 2, column 1: found duplicate key"),
        ({"catalog": "a: b: c\n"}, r"conf/local/catalog\.yml, line 1, column 5: mapping values are not allowed"),
        ({"mlflow": "# é\n"}, r"conf/local/mlflow\.yml, line 1: this is no UTF-8; save it as UTF-8"),
        ({"globals": "a: \x01\n"}, r"conf/local/globals\.yml: .*unacceptable character.*; correct it there"),
        ({"parameters": "threads: ${globals:thread}\n"}, r"conf, parameters\*\.yml: .*'thread' not found.*"),
        (
            {"globals": "device: gpuu\n"},
            r"the dial 'device' .* is 'gpuu', expected auto, cpu, cuda, .*; correct it there",
        ),
        ({"globals": "dtype: fp17\n"}, r"the dial 'dtype' .* is 'fp17', expected one of auto, float32, bfloat16, fl"),
        ({"globals": "engine_dtype: 16\n"}, "the dial 'engine_dtype' .* is 16, expected one of auto"),
        ({"globals": "seed: abc\n"}, "the dial 'seed' .* is 'abc', expected a whole number"),
        ({"globals": "data: null\n"}, "the dial 'data' .* is None, expected a folder"),
    ],
)
def test_conf_that_cannot_be_read_or_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], match: str
) -> None:
    monkeypatch.setattr(preflight, "pipelines", {"__default__": Pipeline([])})
    with pytest.raises(PreflightError, match=f"^nothing was run: .*{match}"):
        Preflight().after_context_created(_context(tmp_path, **files))


def test_an_environment_that_is_not_there_and_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "pipelines", {"__default__": Pipeline([])})
    with pytest.raises(
        PreflightError, match=r"no environment 'locla' in .*conf; did you mean 'local'\? There are base, local$"
    ):
        Preflight().after_context_created(_context(tmp_path, env="locla"))
    with pytest.raises(PreflightError, match=r"no environment 'x' in .*conf; there are base, local$"):
        Preflight().after_context_created(_context(tmp_path, env="x"))


def test_a_pipeline_that_is_not_there_and_the_nearest() -> None:
    (fault,) = pipeline_faults(["evaluaton", "rl_cai"], ["evaluation", "rl_cai", "__default__"])
    assert fault == "there is no pipeline 'evaluaton'; did you mean 'evaluation'? There are evaluation, rl_cai"
    assert list(pipeline_faults(None, ["rl_cai"])) == []


class Encoded(MemoryDataset):
    """As our readers of files: an error of their own, the library's as its cause."""

    def load(self) -> Any:
        try:
            return b"\xe9".decode()
        except UnicodeDecodeError as error:
            raise DatasetError("prompts.jsonl, line 3: this is no UTF-8; save it as UTF-8") from error


def test_the_message_with_the_file_is_shown_and_not_its_cause() -> None:
    (fault,) = input_faults(Pipeline([Node(_use, "judge", "out")]), DataCatalog({"judge": Encoded(1)}), {})
    assert fault == "the dataset 'judge' cannot be read: prompts.jsonl, line 3: this is no UTF-8; save it as UTF-8"


def test_an_error_of_a_library_comes_with_the_file_and_without_kedros_frame(tmp_path: Path) -> None:
    (tmp_path / "referee.csv").write_bytes(b"a,b\n\xe9,1\n")
    table = CSVDataset(filepath=str(tmp_path / "referee.csv"))
    (fault,) = input_faults(Pipeline([Node(_use, "referee", "out")]), DataCatalog({"referee": table}), {})
    assert fault.startswith(f"the dataset 'referee' cannot be read (looked at {tmp_path}/referee.csv): 'utf-8' codec")
    assert "CSVDataset" not in fault


def test_control_characters_of_names_do_not_reach_the_terminal() -> None:
    @click.command()
    def run() -> None:
        raise PreflightError("nothing was run: the prompt '\x1b[2Jp1\u202e' is there twice")

    assert CliRunner().invoke(run).output == "Error: nothing was run: the prompt '\\x1b[2Jp1\\u202e' is there twice\n"


@pytest.mark.parametrize(
    ("source", "folder", "warned"),
    [
        ("hub", "conf/base/constitution", True),
        ("path", "conf/base/constitution", True),
        ("hub", "conf/hub/constitution", False),
        ("shipped", "conf/base/constitution", False),
        ("micro", "conf/base/constitution", False),
    ],
)
def test_a_model_of_ones_own_under_the_micro_worlds_constitution(
    tmp_path: Path, source: str, folder: str, warned: bool
) -> None:
    catalog = DataCatalog(
        {
            "constitution": ConstitutionDataset(filepath=tmp_path / folder),
            "parameters": MemoryDataset({"base_model": {"source": source}}),
        }
    )
    reads = Pipeline([Node(_use, "constitution", "out")])
    warnings = list(constitution_warnings(reads, catalog, tmp_path))
    assert len(warnings) == warned
    assert all("is worded for the micro world, and base_model.source is" in each for each in warnings)
    assert list(constitution_warnings(Pipeline([Node(_use, "other", "out")]), catalog, tmp_path)) == []


def test_a_dial_that_names_another_follows_the_environment(tmp_path: Path) -> None:
    for name, text in (
        ("base", "device: cpu\nengine: {device: '${device}', scratch: '${data}/ray'}\ndata: data\n"),
        ("gpu", "device: cuda\n"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "globals.yml").write_text(text)
    loaders = {env: ConfigLoader(str(tmp_path), env=env, **CONFIG_LOADER_ARGS) for env in ("base", "gpu")}
    told = {env: loader["globals"]["engine"] for env, loader in loaders.items()}
    assert told == {
        env: {"device": device, "scratch": "data/ray"} for env, device in (("base", "cpu"), ("gpu", "cuda"))
    }
