import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset, Version
from kedro.pipeline import Node, Pipeline
from kedro_datasets.pandas import CSVDataset
from pydantic import BaseModel

from cai_kedro.core.constitution import NO_FEW_SHOTS, Constitution, CritiquePrinciple, PreferencePrinciple
from cai_kedro.core.question_types import read_question_types
from cai_kedro.core.rules_reader import read_rules
from cai_kedro.datasets.machine_dataset import MachineDataset
from cai_kedro.datasets.question_types_dataset import QuestionTypesDataset
from cai_kedro.datasets.rules_dataset import RulesDataset
from cai_kedro.datasets.seed_tasks_dataset import SeedTasksDataset
from cai_kedro.hooks.mlflow_run import MlflowRun, valid_name
from cai_kedro.hooks.mlflow_store import absolute_uri
from cai_kedro.hooks.provenance import HOST, PID, STARTED, process_tags
from cai_kedro.hooks.tracking import Tracking
from tests.project_copy import PROJECT

Run = Callable[..., None]
Experiment = tuple[Any, str, str]


class RL(BaseModel):
    kl_coef: float
    max_new_tokens: int


def _constitution() -> Constitution:
    critique = CritiquePrinciple(id="c", title="C", harms=(), critique_request="Find it.", revision_request="Fix it.")
    preference = PreferencePrinciple(id="p", title="P", harms=(), question="Which is better?")
    return Constitution(critique_principles=(critique,), preference_principles=(preference,), few_shots=NO_FEW_SHOTS)


def _rate(params: dict[str, Any], constitution: Constitution) -> tuple[Any, ...]:
    metrics = {
        "elo.harmlessness.rl_cai": {"value": 728.5, "low": 650.0, "high": 810.25, "n": 250},
        "elo.harmlessness.helpful_rlhf": {"value": 0.0, "low": None, "high": None, "n": 250},
    }
    curves = pd.DataFrame({"step": [0, 10, 10], "metric": ["kl", "kl", "pm score"], "value": [0.0, 1.5, -2.0]})
    summary = pd.DataFrame(
        {"policy": ["rl_cai"], "metric": ["complies"], "value": [0.0], "low": [0.0], "high": [0.1], "n": [9]}
    )
    return metrics, curves, summary, "<!doctype html>\n<title>–</title>"


def _nothing() -> dict[str, Any]:
    return {}


@pytest.fixture
def pipeline() -> Pipeline:
    return Pipeline(
        [
            Node(
                _rate,
                ["params:rlhf", "constitution"],
                ["elo_metrics", "rl_cai.policy_curves", "policy_summary", "report"],
            )
        ]
    )


@pytest.fixture
def catalog(tmp_path: Path) -> DataCatalog:
    version = Version(None, "2026-01-02T03.04.05.678Z")
    parameters = {
        "rlhf": {"rl": RL(kl_coef=0.1, max_new_tokens=48), "api_key": "sk-1", "note": "x" * 9000, "few": [1, "a"]},
        "unused": 1,
        "token": "sk-2",
    }
    return DataCatalog(
        {
            "parameters": MemoryDataset(parameters),
            "params:rlhf": MemoryDataset(parameters["rlhf"]),
            "constitution": MemoryDataset(_constitution()),
            "machine": MachineDataset(device="cpu", dtype="float32", engine_dtype="bfloat16"),
            "elo_metrics": MemoryDataset(),
            "rl_cai.policy_curves": MemoryDataset(),
            "policy_summary": CSVDataset(
                filepath=str(tmp_path / "policy_summary.csv"), save_args={"index": False}, version=version
            ),
        }
    )


@pytest.fixture
def runs(
    tracking: Tracking,
    run_with: Run,
    pipeline: Pipeline,
    catalog: DataCatalog,
    experiment: Experiment,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """The parent run and its nested run, after one Kedro run."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    names = ["data_generation", "sl_cai"]
    given = {"pipeline_names": names, "env": "smoke", "runtime_params": {"token": "sk-3"}}
    run_with([tracking], pipeline, catalog, **given)
    client, experiment_id, _ = experiment
    found = {run.info.run_name: run for run in client.search_runs([experiment_id])}
    return SimpleNamespace(client=client, parent=found["data_generation+sl_cai"], found=found)


def test_what_is_not_measured_is_a_tag_and_a_table(
    tracking: Tracking, run_with: Run, experiment: Experiment, tmp_path: Path
) -> None:
    table = pd.DataFrame({"missing": ["judge"], "line": ["no judge: give one"]})
    node = Node(lambda seed: table, inputs="params:seed", outputs="not_measured", name="tell")
    catalog = DataCatalog({"params:seed": MemoryDataset(0), "not_measured": MemoryDataset()})
    run_with([tracking], Pipeline([node]), catalog, pipeline_names=["evaluation"])
    client, experiment_id, _ = experiment
    (run,) = client.search_runs([experiment_id])
    assert run.data.tags["not_measured.judge"] == "no judge: give one"
    path = client.download_artifacts(run.info.run_id, "tables/not_measured.csv", str(tmp_path))
    assert Path(path).read_text().splitlines() == ["missing,line", "judge,no judge: give one"]


def test_what_people_write_for_self_align_is_counted_in_tags(
    tracking: Tracking, run_with: Run, experiment: Experiment, tmp_path: Path
) -> None:
    """Each once, however often it is read."""
    folder = PROJECT / "conf" / "base" / "self_align" / "english"
    given = {
        "seed_tasks": SeedTasksDataset(filepath=folder / "seed_tasks.yml"),
        "question_types": QuestionTypesDataset(filepath=folder / "question_types.yml"),
        "self_align_rules": RulesDataset(filepath=folder),
    }
    nodes = [Node(lambda *_: 0, inputs=list(given), outputs=name, name=name) for name in ("a", "b")]
    catalog = DataCatalog({**given, "a": MemoryDataset(), "b": MemoryDataset()})
    run_with([tracking], Pipeline(nodes), catalog, pipeline_names=["self_align"])
    client, experiment_id, _ = experiment
    (run,) = client.search_runs([experiment_id])
    rules = read_rules(folder)
    assert {name: text for name, text in run.data.tags.items() if name.partition(".")[0] in given} == {
        "seed_tasks.tasks": "175",
        "question_types.types": "20",
        "question_types.questions": str(len([*read_question_types(folder / "question_types.yml").examples])),
        "self_align_rules.rules": "16",
        "self_align_rules.examples": "5",
        "self_align_rules.sha256": rules.sha256,
    }
    path = client.download_artifacts(run.info.run_id, "constitution/self_align_rules.yml", str(tmp_path))
    assert Path(path).read_text().startswith(f"# sha256 {rules.sha256}\nrules:\n- name: {rules.rules[0].name}\n")


def test_a_collapse_is_a_tag(tracking: Tracking, run_with: Run, experiment: Experiment) -> None:
    table = pd.DataFrame(
        {"step": [0, 4], "collapsed": [False, True], "kept": [True, False], "why": ["start policy", "it loops"]}
    )
    node = Node(
        lambda seed: [table, table[:1]], inputs="params:seed", outputs=[f"{arm}.snapshot_choice" for arm in "ab"]
    )
    names = ("params:seed", "a.snapshot_choice", "b.snapshot_choice")
    catalog = DataCatalog({name: MemoryDataset(*[0][: name == "params:seed"]) for name in names})
    run_with([tracking], Pipeline([node]), catalog, pipeline_names=["rl_cai"])
    client, experiment_id, _ = experiment
    (run,) = client.search_runs([experiment_id])
    told = "a has collapsed in 1 of 1 snapshots, they are not kept: step 4 (it loops)"
    assert {name: tag for name, tag in run.data.tags.items() if name.startswith("collapse.")} == {"collapse.a": told}


def test_the_run_is_named_after_its_pipelines_and_finished(runs: Any) -> None:
    assert set(runs.found) == {"data_generation+sl_cai", "rl_cai.policy"}
    assert runs.parent.info.status == "FINISHED"


def test_estimates_become_metrics(runs: Any) -> None:
    assert runs.parent.data.metrics == {
        "elo.harmlessness.rl_cai": 728.5,
        "elo.harmlessness.rl_cai.low": 650.0,
        "elo.harmlessness.rl_cai.high": 810.25,
        "elo.harmlessness.rl_cai.n": 250.0,
        "elo.harmlessness.helpful_rlhf": 0.0,
        "elo.harmlessness.helpful_rlhf.n": 250.0,
    }


def test_curves_become_a_nested_run(runs: Any) -> None:
    nested = runs.found["rl_cai.policy"]
    assert nested.data.tags["mlflow.parentRunId"] == runs.parent.info.run_id
    assert nested.info.status == "FINISHED"
    history = runs.client.get_metric_history(nested.info.run_id, "kl")
    assert [(point.step, point.value) for point in history] == [(0, 0.0), (10, 1.5)]
    assert nested.data.metrics["pm score"] == -2.0


def test_parameters_are_one_per_leaf_and_hold_no_secret(runs: Any) -> None:
    logged = runs.parent.data.params
    assert set(logged) == {"rlhf.rl.kl_coef", "rlhf.rl.max_new_tokens", "rlhf.note", "rlhf.few"}
    assert logged["rlhf.rl.max_new_tokens"] == "48"
    assert logged["rlhf.few"] == '[1, "a"]'
    assert logged["rlhf.note"].startswith("x" * 400 + "… (9000 characters, sha256 ")
    assert "sk-" not in str([run.to_dictionary() for run in runs.found.values()])


def test_tags_say_what_ran_and_which_versions(runs: Any) -> None:
    tags = runs.parent.data.tags
    command = "kedro run --pipelines=data_generation,sl_cai --env=smoke '--params=token=<secret>'"
    assert tags["mlflow.source.name"] == command
    assert tags["saved.policy_summary"] == "2026-01-02T03.04.05.678Z"
    assert tags["constitution.sha256"] == _constitution().sha256
    assert {PID: tags[PID], STARTED: tags[STARTED], HOST: tags[HOST]} == process_tags()


def test_tags_say_on_what_machine(runs: Any) -> None:
    tags = runs.parent.data.tags
    assert (tags["machine.dtype"], tags["machine.device"], tags["machine.threads"]) == ("float32", "cpu", "3")
    assert "3 threads, cpu, training in float32" in tags["machine"]
    assert {"machine.processor", "machine.python", "machine.torch", "machine.transformers", "machine.trl"} <= set(tags)


def test_tables_and_the_constitution_are_artifacts(runs: Any, tmp_path: Path) -> None:
    def read(path: str) -> str:
        return Path(runs.client.download_artifacts(runs.parent.info.run_id, path, str(downloads))).read_text()

    downloads = tmp_path / "downloads"
    downloads.mkdir()

    assert read("tables/policy_summary.csv") == "policy,metric,value,low,high,n\nrl_cai,complies,0.0,0.0,0.1,9\n"
    assert read("tables/elo_metrics.csv").splitlines()[1] == "elo.harmlessness.rl_cai,728.5,650.0,810.25,250"
    assert read("report.html") == "<!doctype html>\n<title>–</title>"
    text = read("constitution/constitution.yml")
    assert text.startswith(f"# sha256 {_constitution().sha256}\ncritique_principles:\n- id: c\n")


def test_the_summary_stands_on_top_of_the_page(runs: Any) -> None:
    description = runs.parent.data.tags["mlflow.note.content"].splitlines()
    assert [line.split()[0] for line in description[:2]] == ["```", "policy"]
    assert [line.split()[0] for line in description if line.startswith("rl_cai")] == ["rl_cai"]
    assert description[-1] == "```"


def test_versions_that_were_read_are_tags(
    tracking: Tracking, run_with: Run, experiment: Experiment, tmp_path: Path
) -> None:
    first = CSVDataset(filepath=str(tmp_path / "t.csv"), version=Version(None, "v1"))
    first.save(pd.DataFrame({"a": [1]}))
    latest = CSVDataset(filepath=str(tmp_path / "t.csv"), version=Version(None, "v2"))
    catalog = DataCatalog({"table@rows": latest, "out": MemoryDataset()})
    run_with([tracking], Pipeline([Node(len, "table@rows", "out")]), catalog)
    (run,) = experiment[0].search_runs([experiment[1]])
    assert run.info.run_name == "whole method"
    assert {name: tag for name, tag in run.data.tags.items() if name.startswith(("loaded", "saved."))} == {
        "loaded.table": "v1"
    }


def test_an_error_closes_the_run_as_failed(tracking: Tracking, run_with: Run, experiment: Experiment) -> None:
    def fail() -> int:
        raise ValueError("no comparison is held out")

    with pytest.raises(ValueError, match="no comparison"):
        run_with([tracking], Pipeline([Node(fail, None, "out")]), DataCatalog({"out": MemoryDataset()}))
    (run,) = experiment[0].search_runs([experiment[1]])
    assert run.info.status == "FAILED"
    assert run.data.tags["error"] == "ValueError: no comparison is held out"


def test_runs_whose_process_is_gone_are_swept(tracking: Tracking, run_with: Run, experiment: Experiment) -> None:
    client, experiment_id, _ = experiment
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    mine = process_tags()
    tags = {
        "gone": {**mine, PID: str(gone.pid)},
        "its id was given to another process": {**mine, STARTED: "12345"},
        "alive": mine,
        "elsewhere": {**mine, PID: str(gone.pid), HOST: "another machine"},
        "not ours": {},
    }
    ids = {name: client.create_run(experiment_id, run_name=name, tags=own).info.run_id for name, own in tags.items()}
    run_with([tracking], Pipeline([Node(_nothing, None, "out")]), DataCatalog({"out": MemoryDataset()}))
    status = {name: client.get_run(run_id).info.status for name, run_id in ids.items()}
    assert status == {
        "gone": "KILLED",
        "its id was given to another process": "KILLED",
        "alive": "RUNNING",
        "elsewhere": "RUNNING",
        "not ours": "RUNNING",
    }


def test_a_run_interrupted_in_this_process_is_closed_by_the_next(
    tracking: Tracking, run_with: Run, experiment: Experiment
) -> None:
    def interrupt() -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_with([tracking], Pipeline([Node(interrupt, None, "out")]), DataCatalog({"out": MemoryDataset()}))
    run_with([tracking], Pipeline([Node(_nothing, None, "out")]), DataCatalog({"out": MemoryDataset()}))
    statuses = [run.info.status for run in experiment[0].search_runs([experiment[1]])]
    assert sorted(statuses) == ["FINISHED", "KILLED"]


def test_pipelines_that_are_not_to_be_recorded(tracking: Tracking, run_with: Run, experiment: Experiment) -> None:
    catalog = DataCatalog({"some_metrics": MemoryDataset()})
    run_with([tracking], Pipeline([Node(_nothing, None, "some_metrics")]), catalog, pipeline_names=["untracked"])
    assert experiment[0].search_runs([experiment[1]]) == []


def test_a_fault_of_mlflow_does_not_end_a_run(
    tracking: Tracking, run_with: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(MlflowRun, "log_estimates", refuse)
    with caplog.at_level("WARNING", logger="cai_kedro"):
        run_with([tracking], Pipeline([Node(_nothing, None, "a_metrics")]), DataCatalog({"a_metrics": MemoryDataset()}))
    assert "MLflow did not take log_metrics: disk full" in caplog.text


def test_two_thousand_points_go_in_few_calls(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    client, experiment_id, _ = experiment
    run = MlflowRun(client, experiment_id, "run", {})
    metrics = ["kl", "loss", "pm_score", "length"]
    curves = pd.DataFrame(
        [(step, metric, step / 7) for step in range(500) for metric in metrics], columns=["step", "metric", "value"]
    )
    sizes: list[int] = []
    log_batch = client.log_batch

    def counted(run_id: str, metrics: Sequence[Any] = (), **others: Any) -> None:
        sizes.append(len(metrics))
        log_batch(run_id, metrics=metrics, **others)

    monkeypatch.setattr(client, "log_batch", counted)
    nested = run.log_curves("rl_cai.policy", curves)
    # a call takes milliseconds however many points it carries: what counts is how many there are
    assert sizes == [1000, 1000]
    assert len(client.get_metric_history(nested, "kl")) == 500


@pytest.mark.parametrize(
    ("name", "valid"),
    [("pm_score.revision_0", "pm_score.revision_0"), ("a/../b@c:é", "a_.._b_c__"), ("x" * 300, "x" * 250)],
)
def test_names_are_made_valid(name: str, valid: str) -> None:
    assert valid_name(name) == valid


def test_a_relative_database_lies_in_the_project() -> None:
    assert absolute_uri("sqlite:///mlflow.db", Path("/srv/me/project")) == "sqlite:////srv/me/project/mlflow.db"
    assert absolute_uri("sqlite:////var/mlflow.db", Path("/srv/me")) == "sqlite:////var/mlflow.db"
    assert absolute_uri("http://127.0.0.1:5000", Path("/srv/me")) == "http://127.0.0.1:5000"
